"""`bakeoff preview`: a picture of what a model will be taught from, before any training.

Takes the overrides of `train`. Each row holds one training image as it is, then as the first epochs
show it, drawn by the same code and the same random numbers as in training.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff import data
from bakeoff.arguments import Parser
from bakeoff.commands.hydra_words import hydra_options
from bakeoff.config.compose import expand, parse_arguments, with_file
from bakeoff.config.config_file import naming_file
from bakeoff.config.schema import Config
from bakeoff.config.titles import title_of
from bakeoff.errors import OK, ConfigError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.waiting import doing, tell
from bakeoff.plots.style import own_style
from bakeoff.runs.paths import expanded, folder_word, home_path
from bakeoff.runs.storage import storage_errors, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bakeoff.data.splits import DataSet

USAGE = "preview [KEY=VALUE ...]"
SUMMARY = "write a picture of augmented training images"
_OTHER_FILE = "FILE for -o"
_NUM_IMAGES = 8
_NUM_EPOCHS = 7


def preview(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: a key that is not allowed, or a sweep.
        DataError: data missing or damaged.
        ResourceError: the picture cannot be written.
    """
    options, overrides = parser().parse_known_args(words)
    line = parse_arguments(overrides)
    if options.config is not None:
        line = with_file(line, options.config)
    jobs, is_sweep = expand(line)
    if is_sweep or line.shows:
        raise ConfigError("preview shows one configuration; give one value for each key")
    with naming_file(line.file, line.file_keys):
        config = check_shared(jobs[0].values)
    with naming_file(line.file, line.file_keys), doing(f"reading {config.data.name}"):
        dataset = data.load(config.data)
    for note in dataset.notes:
        tell(f"note: {note}")
    content = io.BytesIO()
    with doing("drawing"), own_style():
        batch_picture(dataset, config).savefig(content, format="png", dpi=110)
    output = options.output or Path(f"preview-{folder_word(title_of(config.data))}.png")
    with storage_errors(output, _OTHER_FILE):
        output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, lambda file: file.write(content.getvalue()), _OTHER_FILE)
    print(output)
    return OK


def batch_picture(dataset: "DataSet", config: Config) -> "Figure":
    """Rows of images: as stored, then as the epochs 1, 2, ... show them."""
    import torch

    from bakeoff.data import augment
    from bakeoff.data.batches import plan_epoch
    from bakeoff.plots.canvas import figure_of_images
    from bakeoff.plots.lettering import drawable

    cpu = torch.device("cpu")
    order = plan_epoch(dataset.train, config.data.augment, config.seed, 1, cpu).order
    indices = order[:_NUM_IMAGES]
    originals = dataset.train.images(indices)
    columns = [originals]
    for epoch in range(1, _NUM_EPOCHS + 1):
        drawn = plan_epoch(dataset.train, config.data.augment, config.seed, epoch, cpu).drawn
        shown = (
            originals if drawn is None else augment.augment(originals, drawn[indices], config.data.augment)
        )
        columns.append(shown)
    pixels = torch.stack(columns, dim=1).flatten(0, 1).numpy()
    names = [dataset.class_names[label] for label in dataset.train.labels[indices].tolist()]
    active = [
        f"{key} {value:g}" if not isinstance(value, bool | str) else key
        for key, value in vars(config.data.augment).items()
        if value
    ]
    called = drawable(title_of(config.data))
    title = f"{called}: training images as stored, then as they are changed in epochs 1 to {_NUM_EPOCHS}"
    return figure_of_images(
        pixels,
        columns=1 + _NUM_EPOCHS,
        row_names=names,
        column_names=["stored", *(f"epoch {epoch}" for epoch in range(1, _NUM_EPOCHS + 1))],
        title=f"{title}\n{', '.join(active) or 'no augmentation'}; seed {config.seed}",
    )


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff preview",
        usage="bakeoff preview [KEY=VALUE ...] [-o FILE]",
        description="Writes a picture of training images with their augmentation, before any training. "
        "KEY=VALUE is as for train; bakeoff help train lists the keys.",
        epilog="example: bakeoff preview data=mnist data.augment.rotate_degrees=10",
        allow_abbrev=False,
    )
    parser.add_argument("-o", "--output", type=home_path, metavar="FILE", help="default: preview-DATA.png")
    parser.add_argument(
        "--config", type=expanded, metavar="FILE", help="settings from a YAML file or a run directory"
    )
    parser.rest = hydra_options("help", "config_dir")
    return parser
