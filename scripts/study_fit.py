"""Which `data.fit` should be the default: a small CNN on made folders of pictures, crop, pad and stretch.

usage: python scripts/study_fit.py [--seeds 3] [--epochs 10] [--layouts NAME ...] [KEY=VALUE ...]

scikit-learn's digits, three times as large, stand on noise: in pictures of several shapes, in the middle or
anywhere, or filling the picture whatever its shape. In `ends` all evidence lies at one end of a wide picture;
in `outlines` the classes are discs and ellipses, each cut out along its outline: only its shape tells.
Prints the test accuracy, the mean over seeds, for each layout and fit; and of pad for each colour.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from bakeoff.data import pictures

SIDE = 32  # pixels, of a picture's shorter side and of what is trained on
DIGIT = 24
NUM_TEST = 400
# Layout -> width to height of a picture by its number, and where the digit stands.
SHAPES: dict[str, tuple[Sequence[float], str]] = {
    "square": ((1,), "middle"),
    "4:3 middle": ((4 / 3,), "middle"),
    "4:3 anywhere": ((4 / 3,), "anywhere"),
    "4:3 and 3:4 anywhere": ((4 / 3, 3 / 4), "anywhere"),
    "4:3 and 3:4 middle": ((4 / 3, 3 / 4), "middle"),
    "3:1 middle": ((3,), "middle"),
    "3:1 anywhere": ((3,), "anywhere"),
    "2:1 filled": ((2,), "filled"),
    "1:1 to 3:1 filled": ((1, 3, 2, 1.5), "filled"),
}
Colour = Callable[[Image.Image], int | tuple[int, ...]]
COLOURS: dict[str, Colour] = {"black": lambda _: 0, "white": lambda _: 255}


def made_folder(root: Path, part: str, label: str) -> Path:
    """The folder of a class."""
    folder = root / part / label
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_digits(root: Path, shapes: Sequence[float], where: str, paper: bool) -> None:
    """Pictures in train/<digit>/ and test/<digit>/; dark digits on bright noise with `paper`."""
    from sklearn.datasets import load_digits

    digits, random = load_digits(), np.random.RandomState(0)
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        shape = shapes[random.randint(len(shapes))]
        width, height = (round(SIDE * max(1.0, one)) for one in (shape, 1 / shape))
        ink = Image.fromarray((pixels * 15).astype(np.uint8))
        ink = ink.resize((width, height) if where == "filled" else (DIGIT, DIGIT), Image.Resampling.BILINEAR)
        free = np.array([height - ink.height, width - ink.width])
        top, left = free // 2 if where != "anywhere" else [random.randint(one + 1) for one in free]
        canvas = random.randint(0, 90, (height, width))
        canvas[top : top + ink.height, left : left + ink.width] += np.asarray(ink)
        canvas = np.clip(canvas, 0, 255)
        part = "test" if number >= len(digits.images) - NUM_TEST else "train"
        folder = made_folder(root, part, str(label))
        Image.fromarray((255 - canvas if paper else canvas).astype(np.uint8)).save(folder / f"{number}.png")


def write_ends(root: Path) -> None:
    """Two classes: a bright square at the left or at the right end of a 4:1 picture."""
    random = np.random.RandomState(0)
    for part, count in (("train", 60), ("test", 40)):
        for label, left in (("left", 2), ("right", 54)):
            folder = made_folder(root, part, label)
            for number in range(count):
                pixels = random.randint(0, 60, (16, 64)).astype(np.uint8)
                pixels[4:12, left : left + 8] = 255
                Image.fromarray(pixels).save(folder / f"{number}.png")


def write_outlines(root: Path) -> None:
    """Two classes: bright discs, and ellipses twice as wide as high; each fills its picture."""
    random = np.random.RandomState(0)
    for part, count in (("train", 200), ("test", 100)):
        for label, shape in (("disc", 1), ("ellipse", 2)):
            folder = made_folder(root, part, label)
            for number in range(count):
                height = random.randint(SIDE, 3 * SIDE)
                image = Image.new("L", (shape * height, height), random.randint(80))
                box = (0, 0, shape * height - 1, height - 1)
                ImageDraw.Draw(image).ellipse(box, fill=random.randint(120, 256))
                image.save(folder / f"{number}.png")


def accuracies(root: Path, fit: str, seeds: int, line: Sequence[str]) -> list[float]:
    """Test accuracy for each seed, in this process; nothing is written."""
    from bakeoff.config.compose import expand, parse_arguments
    from bakeoff.evaluation.batch_size import EvaluationBatch
    from bakeoff.evaluation.prediction import predict
    from bakeoff.experiment.gates import prepare
    from bakeoff.training.loop import fit as teach
    from bakeoff.training.optim import make_optimizer
    from bakeoff.training.state import start

    found, data = [], None
    words = ["data=image_folder", f"data.root={root}", f"data.image_size={SIDE}", f"data.fit={fit}", *line]
    for seed in range(seeds):
        ((job,), _) = expand(parse_arguments([*words, f"seed={seed}"]))
        prepared = prepare(job.values, data)
        data, config, runtime = prepared.data, prepared.config, prepared.runtime
        optimizer = make_optimizer(prepared.model.parameter_groups(), config.optim)
        state = start(prepared.model, optimizer, config.trainer, runtime)
        for _ in teach(state, data.train, data.val, config, runtime):
            pass
        if state.best:
            state.model.load_state_dict(state.best.weights)
        rated = predict(state.model, data.test, runtime, EvaluationBatch(None))
        found.append(float((rated.probabilities.argmax(axis=1) == rated.label).mean()))
    return found


MADE = {"ends": write_ends, "outlines": write_outlines}


def report(layout: str, fit: str, found: Sequence[float]) -> None:
    """A line of the table."""
    each = " ".join(f"{value:.2%}" for value in found)
    print(f"{layout:30}{fit:12}{statistics.mean(found):8.2%}   {each}", flush=True)


def main() -> None:
    """Makes the folders and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--layouts", nargs="+", metavar="NAME", default=[*MADE, *SHAPES])
    parser.add_argument("line", metavar="KEY=VALUE", nargs="*", help="another model than cnn_small")
    options = parser.parse_args()
    line = options.line or ["model=cnn_small"]
    line += [f"trainer.epochs={options.epochs}", "trainer.threads=1", "trainer.batch_size=64"]
    with tempfile.TemporaryDirectory() as scratch:
        for layout in options.layouts:
            for paper in (False, True) if layout.startswith("3:1") else (False,):
                root = Path(scratch) / layout.replace(":", "_").replace(" ", "_") / str(paper)
                if layout in MADE:
                    MADE[layout](root)
                else:
                    write_digits(root, *SHAPES[layout], paper)
                name = f"{layout}, on paper" if paper else layout
                for fit in ("crop", "pad", "stretch"):
                    report(name, fit, accuracies(root, fit, options.seeds, line))
                if layout.startswith("3:1"):
                    own = pictures._border_colour
                    for colour, choose in COLOURS.items():
                        pictures._border_colour = choose
                        report(name, f"pad {colour}", accuracies(root, "pad", options.seeds, line))
                    pictures._border_colour = own


if __name__ == "__main__":
    main()
