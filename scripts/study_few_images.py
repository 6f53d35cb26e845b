"""False alarms of `compare` where few test images tell two settings apart, by simulation.

Two settings of equal truth. Only open images can be judged differently; any image is open with the
probability that gives the expected number of them. Four ways how: `images`, all runs of a setting alike, one
setting right; `runs`, each run by its own luck; `both`, half and half; `seeds`, each run has a quality of its
own that decides all its open images at once (only where both settings have 2 runs or more: between two single
networks that is a true difference).

usage: python scripts/study_few_images.py
       python scripts/study_few_images.py --tables 4000 --all
"""

import argparse
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df
from bakeoff.comparison.statistics.values import METRICS, Metric, Outcomes, values_of

CLASSES = 10
ALWAYS_WRONG = 0.02  # of the images that are not open, for both


class Cell(NamedTuple):
    """What is simulated many times."""

    kind: str
    num_images: int
    runs: tuple[int, int]
    num_open: float  # expected images that can be judged differently


QUICK = [
    Cell(kind, 400, runs, num_open)
    for kind, runs, num_open in itertools.product(("images", "runs", "seeds"), ((1, 1), (3, 3)), (2, 6))
    if kind != "seeds" or runs != (1, 1)
]


def all_cells() -> Iterator[Cell]:
    """From 1 to 10,000 images, R 1 to 5, 0.5 to 10 open images."""
    sides = ((1, 1), (1, 3), (2, 2), (3, 3), (2, 5), (5, 5))
    sizes = (1, 3, 6, 10, 20, 50, 400, 2_000, 10_000)
    for kind, size, runs, num_open in itertools.product(
        ("images", "runs", "both", "seeds"), sizes, sides, (0.5, 1, 2, 3, 5, 7, 10)
    ):
        if num_open <= size and (kind != "seeds" or min(runs) > 1):
            yield Cell(kind, size, runs, num_open)


def right_by_run(random: np.random.Generator, cell: Cell) -> list[np.ndarray]:
    """Which images each run of each setting has right: bool [runs, n] twice."""
    size = cell.num_images
    is_open = np.flatnonzero(random.random(size) < cell.num_open / size)
    base = random.random(size) >= ALWAYS_WRONG
    kinds = {"both": random.random(len(is_open)) < 0.5, "images": np.ones(len(is_open), dtype=bool)}
    by_setting = kinds.get(cell.kind, np.zeros(len(is_open), dtype=bool))
    first_is_right = random.random(len(is_open)) < 0.5
    thresholds = random.random(len(is_open))
    sides = []
    for side, num_runs in enumerate(cell.runs):
        luck = random.random((num_runs, len(is_open))) < 0.5
        if cell.kind == "seeds":
            luck = random.random((num_runs, 1)) > thresholds
        right = np.repeat(base[None], num_runs, axis=0)
        right[:, is_open] = np.where(by_setting, first_is_right ^ bool(side), luck)
        sides.append(right)
    return sides


def outcomes_of(random: np.random.Generator, right: np.ndarray, hard: np.ndarray) -> list[Outcomes]:
    """The same as answers among 10 classes; a wrong answer is surer or less sure by the image."""
    labels = (np.arange(right.shape[1]) % CLASSES).astype(np.int16)
    guesses = np.where(right, labels, (labels + 1) % CLASSES).astype(np.int16)
    sure = np.clip(hard + 0.02 * random.random(right.shape), 0, 1)
    nll = np.where(right, 0.02 + 0.1 * sure, 1 + 4 * sure)
    return [Outcomes(labels, one, own, CLASSES) for one, own in zip(guesses, nll, strict=True)]


def pair_of(sides: list[list[Outcomes]], metric: Metric) -> Difference:
    """Tested as `compare` tests a table of two."""
    a, b = guard([noise_of(np.stack([values_of(metric, run) for run in runs])) for runs in sides])
    return difference_of(a, b, metric, table_df([a, b]))


def study(cell: Cell, num_tables: int, seed: int) -> dict[Metric, tuple[float, float, float]]:
    """Metric -> rate of false alarms, share of tables with too few images, median half-width."""
    random = np.random.default_rng(seed)
    found: dict[Metric, list[tuple[bool, bool, float]]] = {metric: [] for metric in METRICS}
    for _ in range(num_tables):
        rights = right_by_run(random, cell)
        hard = random.random(cell.num_images)
        sides = [outcomes_of(random, right, hard) for right in rights]
        for metric in METRICS:
            pair = pair_of(sides, metric)
            width = (pair.high - pair.low) / 2
            found[metric].append((pair.p < 0.05, not pair.is_within_domain, width))
    return {
        metric: (float(np.mean(alarms)), float(np.mean(few)), float(np.median(widths)))
        for metric, rows in found.items()
        for alarms, few, widths in [zip(*rows, strict=True)]
    }


def main() -> None:
    """Prints a line for each cell, and those beyond the limit once more at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=int, default=500, help="per cell (500)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="all cells; with 2,000 tables an hour on one core")
    options = parser.parse_args()
    limit = float(binom.ppf(0.999, options.tables, 0.05)) / options.tables
    print(f"{options.tables:,} tables a cell; false alarms may be {limit:.1%} (99.9 % limit of 5 %)")
    print("kind    images  runs    open   " + "   ".join(f"{metric}: alarms, few, ±" for metric in METRICS))
    highest: dict[Metric, tuple[float, str]] = dict.fromkeys(METRICS, (0.0, ""))
    beyond = []
    for number, cell in enumerate(list(all_cells()) if options.all else QUICK):
        results = study(cell, options.tables, options.seed + number)
        name = f"{cell.kind:7} {cell.num_images:6}  {cell.runs[0]} v {cell.runs[1]} {cell.num_open:5g}"
        texts = [f"{alarms:6.1%} {few:5.0%} {width:8.5f}" for alarms, few, width in results.values()]
        print(f"{name}   " + "      ".join(texts), flush=True)
        for metric, (alarms, _, _) in results.items():
            highest[metric] = max(highest[metric], (alarms, name))
            if alarms > limit:
                beyond.append(f"{metric} {name}: {alarms:.1%}")
    for metric, (alarms, name) in highest.items():
        print(f"highest {metric}: {alarms:.1%} in {name}")
    print(f"beyond the limit: {', '.join(beyond) or 'none'}")


if __name__ == "__main__":
    main()
