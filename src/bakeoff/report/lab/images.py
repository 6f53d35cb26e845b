"""The section on the data. No torch here."""

from collections.abc import Sequence
from typing import Any

from bakeoff.comparison.figures import value_at
from bakeoff.comparison.image_shapes import image_shapes
from bakeoff.comparison.run import UNKNOWN, Run
from bakeoff.comparison.tables import Table
from bakeoff.config.explain import conf_dir, options
from bakeoff.config.meanings import header_of
from bakeoff.report.lab.document import Block, Grid, Heading, Paragraph, ToDo
from bakeoff.report.lab.recorded import NOT_RECORDED, num_images, of_config, plain, runs_of, told
from bakeoff.text import shortened

_HASH_DIGITS = 16
_MOST_CLASSES = 20
_SPLITS = {"train": "training", "val": "validation", "test": "test"}
_AUGMENTATIONS = {
    "shift_pixels": "shifts of up to {} pixels",
    "rotate_degrees": "rotations of up to {} degrees",
    "scale": "size changed by up to {} times its value",
    "erase": "a random rectangle made black with probability {}",
    "flip": "mirrored left to right (half of the images)",
}


def data_section(tables: Sequence[Table]) -> list[Block]:
    """Which images, and how many."""
    blocks: list[Block] = [Heading(2, "2. Data")]
    for table in tables:
        if sentence := _sentence(table):
            blocks.append(Paragraph(sentence))
        blocks.append(Grid(("", table.title), _facts(table), "the data of these runs", texts=2))
    blocks.append(
        ToDo(
            "say in your own words what the images show, where they come from (with a reference), and "
            "which classes you expect to be hard to tell apart."
        )
    )
    return blocks


def _sentence(table: Table) -> str:
    """What the data set is, by the header of its file; what runs took of it, the table says."""
    if table.data == "image_folder":
        fits = told(of_config(runs_of(table.settings), "data.fit"))
        return f"A folder of pictures, with a folder for each class; how a picture became a square: {fits}."
    if table.data not in options("data"):
        return ""
    return f"{header_of(conf_dir() / 'data' / f'{table.data}.yaml').first_sentence}."


def _facts(table: Table) -> list[tuple[str, str]]:
    runs = runs_of(table.settings)
    sizes = [num_images(run) for run in runs]
    rows = [(f"{title} images", told(size.get(split) for size in sizes)) for split, title in _SPLITS.items()]
    names = table.class_names
    classes = f"{len(names):,}: {shortened(names, _MOST_CLASSES)}" if names else NOT_RECORDED
    rows += [
        ("classes", classes),
        ("image size", _size_text(runs)),
        ("augmentation of the training images", told(augmentation(run) for run in runs)),
    ]
    limits = {plain(value) for value in of_config(runs, "data.train_limit")}
    if limits != {"none"}:
        rows.append(("limit of training images", ", ".join(sorted(limits))))
    for split, title in _SPLITS.items():
        hashes = [run.text("fingerprint", f"{split}_split") for run in runs]
        short = [text if text == UNKNOWN else text[:_HASH_DIGITS] for text in hashes]
        rows.append(
            (f"fingerprint of the {title} images (first {_HASH_DIGITS} digits of SHA-256)", told(short))
        )
    return rows


def augmentation(run: Run) -> str | None:
    """What was done to the training images, at random and anew in each epoch; None if nobody knows."""
    found = value_at(run.config, "data.augment")
    if not isinstance(found, dict):
        return None
    parts = [
        text.format(plain(found[key]))
        for key, text in _AUGMENTATIONS.items()
        if found.get(key) not in (None, 0, False)
    ]
    return "; ".join(parts) or "none"


def _size_text(runs: Sequence[Run]) -> str:
    found: list[Any] = []
    for run in runs:
        shapes = image_shapes(run)
        if not shapes:
            found.append(None)
            continue
        _, height, width = shapes[0]
        colours = {1: ", grey", 3: ", colour"}.get(shapes[0][0], "") if len(shapes) == 1 else ""
        found.append(f"{height} × {width} pixels{colours}")
    return told(found)
