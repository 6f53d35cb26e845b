"""The best validation score that a search of n trials finds, expected from the trials that there are.

Dodge, Gururangan, Card, Schwartz and Smith 2019 ("Show Your Work") take the expected maximum of n draws with
replacement. Tang, Lee, Xin, Liu, Yu and Lin 2020 ("Showing Your Work Doesn't Always Work") show that it is
too low when n is near the number of trials, and that the mean of the best over all subsets of n trials is
not. So draws here are without replacement. docs/statistics.md says how often the interval holds the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from bakeoff.comparison.statistics.classical import student_quantile

TRIALS_FOR_AN_INTERVAL = 4  # times as many as are spoken of: with fewer the interval is too short


@dataclass(frozen=True)
class ExpectedBest:
    """Of a search with so many trials."""

    trials: int
    value: float
    low: float | None  # 95 % interval; None with too few trials for one
    high: float | None


def expected_best(
    values: Sequence[float], counts: Sequence[int], *, larger_is_better: bool = True
) -> list[ExpectedBest]:
    """The mean of the best value over all subsets of the trials.

    Args:
        values: one for each trial, in any order.
        counts: sizes of the subsets; those below 1 or above the number of trials are left out.
        larger_is_better: which end is the best.
    """
    sign = 1.0 if larger_is_better else -1.0
    rising = np.sort(sign * np.asarray(values, dtype=np.float64))
    found = []
    for count in counts:
        if not 1 <= count <= len(rising):
            continue
        value = float(rising @ _weights(len(rising), count))
        reach = _reach(rising, count)
        ends = (None, None) if reach is None else (sign * value - reach, sign * value + reach)
        found.append(ExpectedBest(count, sign * value, *ends))
    return found


def _weights(total: int, count: int) -> Float64[np.ndarray, "total"]:
    """The share of the subsets of `count` among `total` in which each, from the lowest, is the best."""
    weights = np.zeros(total)
    weights[-1] = share = count / total
    for place in range(total - 1, count - 1, -1):  # C(place - 1, count - 1) / C(total, count), from the best
        share *= (place + 1 - count) / place
        weights[place - 1] = share
    return weights


def _reach(rising: Float64[np.ndarray, "total"], count: int) -> float | None:
    """Half of the 95 % interval, from the variance of the estimates without one trial (jackknife)."""
    total = len(rising)
    if total < max(2, TRIALS_FOR_AN_INTERVAL * count):
        return None
    weights = _weights(total - 1, count)
    below = np.concatenate([[0.0], np.cumsum(weights * rising[:-1])])  # of those below the one left out
    above = np.concatenate([np.cumsum((weights * rising[1:])[::-1])[::-1], [0.0]])
    without = below + above
    variance = (total - 1) / total * float(((without - without.mean()) ** 2).sum())
    return student_quantile(0.975, total - 1) * math.sqrt(variance)
