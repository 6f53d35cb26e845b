"""Simulated races: how often a best setting is dropped, and how often the test table is wrong afterwards.

The cells and limits are those of an acceptance recipe; a limit is the 99.9 % binomial limit of 5 %, "!"
marks a figure outside of it. Welch's test of run scores with the same levels stands beside the race in the
cell that catches it. 25 s on one core.

usage: python scripts/study_race.py [--races COUNT]

Exit code: 0 all within their limits (which are of the recipe's numbers of races alone), 1 not.
"""

import argparse
import itertools
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.stats import ttest_ind

from bakeoff.comparison.statistics.classical import holm, student_quantile
from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df
from bakeoff.comparison.statistics.race import Rules
from bakeoff.comparison.statistics.values import values_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "comparison"))
from raced import Raced, race
from simulation import Architecture, Images

LOOKS = (3, 5, 8, 12)


@dataclass(frozen=True)
class Cell:
    """Races of one kind."""

    architectures: Sequence[Architecture]
    num_val: int
    num_test: int
    races: int
    seed: int
    rules: Rules = field(default_factory=lambda: Rules(LOOKS))


def accuracies(cell: Cell, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Of each setting the values of twelve runs on all images, validation first."""
    images = Images(random, cell.num_val + cell.num_test)
    return {
        str(number): np.stack(
            [values_of("accuracy", run) for run in images.runs(one, images.difficulty(), LOOKS[-1])]
        )
        for number, one in enumerate(cell.architectures)
    }


def on_test(values: dict[str, np.ndarray], raced: Raced, num_val: int) -> dict[tuple[str, str], Difference]:
    """What `compare` says of all runs of the race."""
    seen = guard([noise_of(runs[: raced.seeds[name], num_val:]) for name, runs in values.items()])
    noises = dict(zip(values, seen, strict=True))
    df = table_df(list(noises.values()))
    return {
        (a, b): difference_of(noises[a], noises[b], "accuracy", df)
        for a, b in itertools.combinations(noises, 2)
    }


@dataclass
class Counts:
    """Shares of the races of a cell, 0..1; means a race."""

    best_dropped: float = 0.0
    false_differs: float = 0.0
    false_equal: float = 0.0
    drops: float = 0.0
    best_named: float = 0.0
    seeds: float = 0.0
    hopeless: float = 0.0


def simulated(cell: Cell) -> Counts:
    """The settings of the largest theta are the best ones."""
    random = np.random.default_rng(cell.seed)
    thetas = [one.theta for one in cell.architectures]
    best = {str(number) for number, theta in enumerate(thetas) if theta == max(thetas)}
    counts = Counts()
    for _ in range(cell.races):
        values = accuracies(cell, random)
        raced = race({name: runs[:, : cell.num_val] for name, runs in values.items()}, cell.rules)
        pairs = on_test(values, raced, cell.num_val)
        adjusted = holm([pair.p for pair in pairs.values()])
        alike = [thetas[int(a)] == thetas[int(b)] for a, b in pairs]
        counts.best_dropped += bool(best & {*raced.dropped})
        counts.false_differs += any(p < 0.05 and same for p, same in zip(adjusted, alike, strict=True))
        counts.false_equal += any(map(_is_called_equal, pairs.values(), itertools.repeat(cell.rules.margin)))
        counts.drops += len(raced.dropped)
        counts.best_named += raced.looks[-1].best in best
        counts.seeds += sum(raced.seeds.values())
        counts.hopeless += raced.looks[-1].verdict == "hopeless"
    return Counts(**{name: value / cell.races for name, value in vars(counts).items()})


def _is_called_equal(pair: Difference, margin: float | None) -> bool:
    if margin is None or pair.df is None:
        return False
    return bool(abs(pair.difference) + student_quantile(0.95, pair.df) * np.sqrt(pair.variance) < margin)


def dropped_by_welch(cell: Cell, races: int) -> float:
    """Share of the races in which Welch's test of run scores, with the same levels, drops somebody."""
    random = np.random.default_rng(cell.seed)
    wrong = 0
    for _ in range(races):
        values = accuracies(cell, random)
        scores = [runs[:, : cell.num_val].mean(axis=1) for runs in values.values()]
        for seeds, level in zip(cell.rules.looks, cell.rules.levels, strict=True):
            pairs = itertools.combinations([runs[:seeds] for runs in scores], 2)
            # Runs that are all alike have no t.
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                p = [float(ttest_ind(a, b, equal_var=False).pvalue) for a, b in pairs]
            if min(holm(np.nan_to_num(p, nan=1.0).tolist())) < level:
                wrong += 1
                break
    return wrong / races


def alike(theta: float, sigma: float, count: int) -> list[Architecture]:
    """Settings of equal truth."""
    return [Architecture(theta, sigma)] * count


# The cell, and for each of its figures whether it is as it should be.
CELLS: dict[str, tuple[Cell, dict[str, Callable[[float], bool]]]] = {
    "RA two alike, seeds alone": (
        Cell(alike(5.0, 3.0, 2), 400, 400, 3000, 301, Rules(LOOKS, hopeless=False)),
        {"best_dropped": lambda x: x <= 0.063, "false_differs": lambda x: x <= 0.063},
    ),
    "RB three alike, images alone": (
        Cell(alike(11.4, 0.0, 3), 1000, 1000, 1000, 302),
        {
            "best_dropped": lambda x: x <= 0.073,
            "false_differs": lambda x: x <= 0.073,
            "seeds": lambda x: x <= 18,
        },
    ),
    "RC three that differ": (
        Cell([Architecture(theta, 0.2) for theta in (12.1, 11.0, 8.5)], 2000, 2000, 300, 303),
        {
            "best_dropped": lambda x: x <= 0.01,
            "drops": lambda x: x >= 1.6,
            "best_named": lambda x: x >= 0.96,
            "seeds": lambda x: 16 <= x <= 24,
        },
    ),
    "RD two, the margin apart": (
        Cell([Architecture(6.0, 1.0), Architecture(5.0, 1.0)], 2000, 2000, 1000, 304,
             Rules(LOOKS, margin=0.0398123)),
        {"false_equal": lambda x: x <= 0.073},
    ),
    "RE three alike, few images": (
        Cell(alike(11.4, 0.2, 3), 200, 400, 300, 305),
        {"hopeless": lambda x: x >= 0.8, "seeds": lambda x: x <= 20, "drops": lambda x: x <= 0.01},
    ),
    "RF ten alike, noisy seeds": (
        Cell(alike(9.7, 0.6, 10), 1000, 1000, 200, 306),
        {"best_dropped": lambda x: x <= 0.105, "false_differs": lambda x: x <= 0.105},
    ),
}  # fmt: skip


def main() -> int:
    """Prints a line for each cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--races", type=int, help="so many in each cell (default: the recipe's)")
    options = parser.parse_args()
    names = [*vars(Counts())]
    print(f"{'cell':30}" + "".join(f"{name:>15}" for name in names))
    good = True
    for name, (cell, limits) in CELLS.items():
        found = vars(simulated(replace(cell, races=options.races or cell.races)))
        outside = [key for key, is_right in limits.items() if not is_right(found[key])]
        good = good and not outside
        cells = "".join(f"{found[key]:>14.4g}{'!' if key in outside else ' '}" for key in names)
        print(f"{name:30}{cells}", flush=True)
    races = options.races or 300
    welch = dropped_by_welch(CELLS["RB three alike, images alone"][0], races)
    print(f"in RB Welch's test of run scores would drop somebody in {welch:.1%} of {races} races")
    return 0 if good or options.races else 1


if __name__ == "__main__":
    sys.exit(main())
