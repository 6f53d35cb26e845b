"""The expected best of n trials: by hand, by counting all subsets, and how often its interval is right."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from bakeoff.comparison.statistics.expected_best import ExpectedBest, expected_best


def test_by_hand() -> None:
    """Of 1, 2, 4: the pairs have the best 2, 4, 4; the mean of all is 7/3."""
    found = expected_best([4, 1, 2], [1, 2, 3])
    assert [one.trials for one in found] == [1, 2, 3]
    assert [one.value for one in found] == pytest.approx([7 / 3, 10 / 3, 4])
    assert [one.low for one in found] == [None] * 3
    smallest = expected_best([4, 1, 2], [1, 2, 3], larger_is_better=False)
    assert [one.value for one in smallest] == pytest.approx([7 / 3, 4 / 3, 1])


def test_of_one_trial_it_is_the_mean_with_students_interval() -> None:
    """1, 2, 3, 6: mean 3, standard deviation sqrt(14/3), t(0.975, 3) = 3.182446."""
    (found,) = expected_best([6, 1, 2, 3], [1])
    reach = 3.182446305 * math.sqrt(14 / 3) / 2
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - reach, 3 + reach))


def test_all_subsets_are_counted() -> None:
    values = np.random.default_rng(3).normal(size=8).tolist()
    for count in range(1, 9):
        (found,) = expected_best(values, [count])
        assert found.value == pytest.approx(
            np.mean([max(some) for some in itertools.combinations(values, count)])
        )


def test_the_jackknife_leaves_out_one_after_another() -> None:
    values = np.random.default_rng(4).exponential(size=12)
    (found,) = expected_best(values.tolist(), [3])
    without = [expected_best(np.delete(values, place).tolist(), [3])[0].value for place in range(12)]
    spread = math.sqrt(11 / 12 * ((np.array(without) - np.mean(without)) ** 2).sum())
    assert found.high is not None
    assert found.high - found.value == pytest.approx(2.200985160 * spread)  # t(0.975, 11)


def test_mirrored_values_give_mirrored_results() -> None:
    values = [0.3, 0.1, 0.4, 0.1, 0.5, 0.9, 0.2, 0.6]
    up, down = (
        expected_best(values, [1, 2]),
        expected_best([-v for v in values], [1, 2], larger_is_better=False),
    )
    for one, other in zip(up, down, strict=True):
        assert one.low is not None
        assert one.high is not None
        assert other == ExpectedBest(one.trials, -one.value, -one.high, -one.low)


def test_edges() -> None:
    assert expected_best([], [1, 2]) == []
    assert expected_best([0.5], [0, 1, 2, -1]) == [ExpectedBest(1, 0.5, None, None)]
    (alike,) = expected_best([0.5] * 8, [2])
    assert (alike.value, alike.low, alike.high) == pytest.approx((0.5, 0.5, 0.5))
    assert all(
        0 <= one.value <= 1 for one in expected_best(np.linspace(0, 1, 2000).tolist(), range(1, 2001, 7))
    )


Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
DRAWS: dict[str, Draw] = {
    "skewed": lambda random, shape: 0.98 - 0.03 * random.exponential(size=shape),
    "bounded": lambda random, shape: 0.98 - 0.1 * random.beta(1.5, 4, size=shape),
    "heavy": lambda random, shape: 0.98 - 0.01 * random.lognormal(size=shape),
    "a third failed": lambda random, shape: np.where(
        random.random(shape) < 0.3, 0.1, 0.97 - 0.05 * random.random(shape)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(("total", "count"), [(20, 5), (50, 5), (50, 12), (100, 25)])
def test_the_interval_holds_the_truth(name: str, total: int, count: int) -> None:
    """In 89 to 95 of 100 searches, as docs/statistics.md says; the estimate itself is right on average."""
    random = np.random.default_rng(7)
    draw = DRAWS[name]
    truth = draw(random, (20_000, count)).max(axis=1)
    found = [expected_best(row.tolist(), [count])[0] for row in draw(random, (1000, total))]
    held = [
        one.low <= truth.mean() <= one.high for one in found if one.low is not None and one.high is not None
    ]
    assert len(held) == 1000
    assert 0.87 < np.mean(held) < 0.97
    values = np.array([one.value for one in found])
    error = math.sqrt(values.var() / 1000 + truth.var() / 20_000)
    assert abs(values.mean() - truth.mean()) < 4 * error
