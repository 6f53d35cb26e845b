"""Times `bakeoff predict` on 1,000 pictures: its rate against evaluation plus decoding, and the first answer.

usage: .venv/bin/python scripts/bench_predict.py [--pictures 1000] [--repeats 5] [--run RUN] [KEY=VALUE ...]

Two kinds of pictures: small ones as the data set has them (PNG), and drawn photographs (JPEG, of a tenth as
many), which are timed with the preparation and without. Evaluation plus decoding: all pictures are decoded by
as many threads, as a folder of training pictures is, then rated as a test split is. Rounds are interleaved.
Without --run a model is trained first (model=cnn data=mnist, or what the keys say).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from draw_photographs import draw
from PIL import Image

# What a prediction imports, without the program: torch, the decoders, and a family.
IMPORTS = """
import importlib, sys
import torch, PIL.Image, scipy.ndimage
import bakeoff.commands.predict, bakeoff.runs.storage
from bakeoff.deploy.predict import predicting, sources
importlib.import_module(f"bakeoff.models.{sys.argv[1]}")
print("done")
"""


def own_pictures(folder: Path, count: int, shape: tuple[int, int, int]) -> None:
    """PNGs of the model's own size: smooth strokes on black, about as large as MNIST's."""
    random = np.random.RandomState(0)
    _, height, width = shape
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.zeros((height, width), np.uint8)
        top, left = random.randint(1, max(2, height // 2)), random.randint(1, max(2, width // 2))
        inside = pixels[top:-1, left:-1]
        inside[:] = random.randint(0, 256, inside.shape) * (random.random(inside.shape) < 0.4)
        Image.fromarray(pixels).save(folder / f"{number:05}.png")


def predicting(run: Path, folder: Path, *, as_is: bool) -> Callable[[], None]:
    """What the command does, in this process."""
    from bakeoff.deploy.predict.answers import JsonLines
    from bakeoff.deploy.predict.ensemble import open_ensemble
    from bakeoff.deploy.predict.predicting import Wishes, answers
    from bakeoff.deploy.predict.sources import sources_of

    ensemble, form = open_ensemble([run], None), JsonLines()

    def once() -> None:
        for answer in answers(ensemble, sources_of([str(folder)], ensemble.class_names), Wishes(as_is=as_is)):
            form.line(answer)

    return once


def decoding_and_evaluating(run: Path, folder: Path) -> Callable[[], None]:
    """All pictures into one tensor, then that through the model."""
    import torch

    from bakeoff.data.pictures import read_picture
    from bakeoff.deploy.trained import open_trained
    from bakeoff.machine.limits import usable_cores

    trained = open_trained(run)
    channels, height, _ = trained.shape
    paths = sorted(path for path in folder.rglob("*") if path.is_file())

    def once() -> None:
        pixels = np.empty((len(paths), *trained.shape), np.uint8)

        def decode(row: int) -> None:
            pixels[row] = read_picture(paths[row], height, channels)

        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(decode, range(len(paths))))
        trained.probabilities(torch.from_numpy(pixels))

    return once


def seconds(work: Callable[[], None]) -> float:
    """Of one round."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def compare(
    name: str, count: int, ours: Callable[[], None], theirs: Callable[[], None], repeats: int
) -> None:
    """Interleaved; the first round of each is not counted."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    mine, other = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(
        f"{name:34} predict {count / mine:7,.0f} / s, evaluation and decoding {count / other:7,.0f} / s, "
        f"ratio {ratio:.2f}",
        flush=True,
    )


def until_first_line(command: list[str]) -> float:
    """Seconds from the start of a process to its first line."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        found = time.perf_counter() - begin
        process.stdout.read()
    return found


def first_answer(run: Path, folder: Path, family: str, repeats: int) -> None:
    """Start to first answer, less a process that only imports the same."""
    whole = [sys.executable, "-m", "bakeoff", "predict", str(run), str(folder), "--json"]
    imports = [sys.executable, "-c", IMPORTS, family]
    pairs = [(until_first_line(whole), until_first_line(imports)) for _ in range(repeats)]
    beyond = statistics.median(a - b for a, b in pairs)
    first = statistics.median(a for a, _ in pairs)
    print(f"first answer after {first:.1f} s, {beyond:.2f} s of them beyond imports")


def main() -> None:
    """Makes the pictures, and times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--run", help="a path, the beginning of a run's name, or latest")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_intermixed_args()  # keys may stand behind options
    from bakeoff.deploy.trained import open_trained
    from bakeoff.runs.locate import find_run, outputs_root

    if options.run is None:
        import bakeoff

        run = bakeoff.train("model=cnn", "data=mnist", *options.overrides).path
    else:
        run = find_run(options.run, outputs_root())
    trained = open_trained(run)
    with tempfile.TemporaryDirectory() as scratch:
        small, photographs = Path(scratch) / "small", Path(scratch) / "photographs"
        own_pictures(small, options.pictures, trained.shape)
        drawn = max(10, options.pictures // 10)
        draw(photographs, drawn, seed=0)
        baseline = decoding_and_evaluating(run, small)
        compare(
            "small pictures, of the set's size",
            options.pictures,
            predicting(run, small, as_is=False),
            baseline,
            options.repeats,
        )
        baseline = decoding_and_evaluating(run, photographs)
        for name, as_is in (("photographs, as they are", True), ("photographs, prepared", False)):
            compare(name, drawn, predicting(run, photographs, as_is=as_is), baseline, options.repeats)
        first_answer(run, small, trained.config.model["family"], options.repeats)


if __name__ == "__main__":
    main()
