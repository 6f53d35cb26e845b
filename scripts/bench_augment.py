"""Seconds to augment 60,000 MNIST-sized images with every option on, against an epoch of the CNN.

usage: BAKEOFF_DATA=... .venv/bin/python scripts/bench_augment.py [--repeats 5]

Both in turn within one process: the augmentation of 60,000 images in batches as in training, and an
epoch of `model=cnn data=mnist` as shipped (54,000 images, shifts included), scaled to 60,000.
"""

import argparse
import statistics
import time

from bakeoff.machine import environment

environment.prepare()

import torch  # noqa: E402

from bakeoff.config.compose import expand, parse_arguments  # noqa: E402
from bakeoff.config.schema import AugmentConfig  # noqa: E402
from bakeoff.data import augment  # noqa: E402
from bakeoff.experiment.gates import prepare  # noqa: E402
from bakeoff.runs.records import EpochRecord  # noqa: E402
from bakeoff.training.loop import fit  # noqa: E402
from bakeoff.training.optim import make_optimizer  # noqa: E402
from bakeoff.training.state import start  # noqa: E402

EVERYTHING = AugmentConfig(shift_pixels=2, rotate_degrees=10.0, scale=0.1, erase=0.25, flip="force")
NUM_IMAGES = 60_000


def augmentation_seconds(pixels: torch.Tensor, batch_size: int) -> float:
    """Draws an epoch's table and applies it batch by batch."""
    begin = time.perf_counter()
    drawn = augment.draw(NUM_IMAGES, torch.Generator().manual_seed(0))
    order = torch.randperm(NUM_IMAGES)
    for start_at in range(0, NUM_IMAGES, batch_size):
        indices = order[start_at : start_at + batch_size]
        augment.augment(pixels[indices % len(pixels)], drawn[indices], EVERYTHING)
    return time.perf_counter() - begin


def main() -> None:
    """Prints a line for each pair and the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    line = parse_arguments([f"trainer.epochs={repeats + 1}", "optim.warmup_epochs=1"])
    ready = prepare(expand(line)[0][0].values)
    optimizer = make_optimizer(ready.model.parameter_groups(), ready.config.optim)
    state = start(ready.model, optimizer, ready.config.trainer, ready.runtime)
    events = fit(state, ready.data.train, None, ready.config, ready.runtime)
    pixels = ready.data.train.images(torch.arange(len(ready.data.train)))
    next(events)  # the first epoch warms up
    ratios = []
    for event in events:
        assert isinstance(event, EpochRecord)
        epoch = NUM_IMAGES / event.train_images_per_second
        augmentation = augmentation_seconds(pixels, ready.config.trainer.batch_size)
        ratios.append(augmentation / epoch)
        print(f"augmentation {augmentation:.2f} s, epoch {epoch:.2f} s: {ratios[-1]:.1%}", flush=True)
    print(f"median {statistics.median(ratios):.1%} (bar: 25%); {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
