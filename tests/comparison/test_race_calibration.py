"""Simulated races: how often a best setting is dropped, and how often the test table is wrong afterwards.

Limits are those of an acceptance recipe: the 99.9 % binomial limit of 5 %.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from raced import Raced, race
from scipy.stats import ttest_ind
from simulation import Architecture, Images

from bakeoff.comparison.statistics.classical import holm, student_quantile
from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df
from bakeoff.comparison.statistics.race import Rules
from bakeoff.comparison.statistics.values import values_of

LOOKS = (3, 5, 8, 12)
pytestmark = pytest.mark.slow


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


def test_two_alike_with_much_seed_noise() -> None:
    rules = Rules(LOOKS, hopeless=False)
    found = simulated(Cell([Architecture(5.0, 3.0)] * 2, 400, 400, 3000, 301, rules))
    assert found.best_dropped <= 0.063
    assert found.false_differs <= 0.063


def test_three_alike_without_seed_noise() -> None:
    cell = Cell([Architecture(11.4, 0.0)] * 3, 1000, 1000, 1000, 302)
    found = simulated(cell)
    assert found.best_dropped <= 0.073
    assert found.false_differs <= 0.073
    assert found.seeds <= 18
    assert _dropped_by_welch(cell) > 0.1  # what a usual test of run scores would do


def _dropped_by_welch(cell: Cell) -> float:
    """Welch's test of run scores in its place, with the same levels: races in which it drops somebody."""
    random = np.random.default_rng(cell.seed)
    wrong = 0
    for _ in range(300):
        values = accuracies(cell, random)
        scores = {name: runs[:, : cell.num_val].mean(axis=1) for name, runs in values.items()}
        for seeds, level in zip(cell.rules.looks, cell.rules.levels, strict=True):
            with np.errstate(all="ignore"):
                p = [ttest_ind(a[:seeds], b[:seeds], equal_var=False).pvalue
                     for a, b in itertools.combinations(scores.values(), 2)]  # fmt: skip
            if min(holm(np.nan_to_num(p, nan=1.0).tolist())) < level:
                wrong += 1
                break
    return wrong / 300


def test_three_that_differ_by_a_little() -> None:
    architectures = [Architecture(theta, 0.2) for theta in (12.1, 11.0, 8.5)]
    found = simulated(Cell(architectures, 2000, 2000, 300, 303))
    assert found.best_dropped <= 0.01
    assert found.drops >= 1.6
    assert found.best_named >= 0.96
    assert 16 <= found.seeds <= 24


def test_two_whose_difference_is_just_the_margin() -> None:
    rules = Rules(LOOKS, margin=0.0398123)
    found = simulated(Cell([Architecture(6.0, 1.0), Architecture(5.0, 1.0)], 2000, 2000, 1000, 304, rules))
    assert found.false_equal <= 0.073


def test_few_validation_images_end_it_as_hopeless() -> None:
    found = simulated(Cell([Architecture(11.4, 0.2)] * 3, 200, 400, 300, 305))
    assert found.hopeless >= 0.8
    assert found.seeds <= 20
    assert found.drops <= 0.01


def test_ten_alike_with_much_seed_noise() -> None:
    found = simulated(Cell([Architecture(9.7, 0.6)] * 10, 1000, 1000, 200, 306))
    assert found.best_dropped <= 0.105
    assert found.false_differs <= 0.105
