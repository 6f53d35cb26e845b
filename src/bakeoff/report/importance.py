"""Which keys of a search mattered: how much worse a forest predicts the values without knowing each.

Random forests (Breiman 2001) and the importance of shuffled columns (the same paper), on trials that the
forest has not seen. fANOVA would need the library that made the trials; this needs `tune.json` alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bakeoff.comparison.group import shown

FEWEST_TRIALS = 10
_FOLDS, _TREES, _SHUFFLES = 5, 40, 10
_LOG_RATIO = 10  # of the ends of positive numbers, from which a key is taken in its logarithm


@dataclass(frozen=True)
class Importance:
    """Of each key; the shares sum to 1."""

    shares: Mapping[str, float]
    explained: float  # the share of the values' variance that the forest explains, on trials it has not seen


def importance_of(params: Sequence[Mapping[str, Any]], values: Sequence[float]) -> Importance | None:
    """None with too few trials, without two different values, or if the forest explains nothing.

    Args:
        params: of each trial that has finished.
        values: in the same order.
    """
    keys = [key for key in sorted({key for one in params for key in one}) if len(_distinct(params, key)) > 1]
    target = np.asarray(values, dtype=np.float64)
    if len(values) < FEWEST_TRIALS or not keys or not np.ptp(target):
        return None
    # From ranks, so that a few failed trials do not hide what the others say.
    target = np.argsort(np.argsort(target, kind="stable"), kind="stable") / len(target)
    columns = np.array([positions([one.get(key) for one in params]) for key in keys]).T
    losses, shuffled = _losses(columns, target)
    explained = 1 - losses / float(target.var())
    rises = np.maximum(0.0, shuffled - losses)
    if explained <= 0 or not rises.sum():
        return None
    return Importance(dict(zip(keys, (rises / rises.sum()).tolist(), strict=True)), explained)


def _losses(columns: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean squared errors on trials that were left out: as they are, and with each column shuffled."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    random = np.random.default_rng(0)
    plain, shuffled = 0.0, np.zeros(columns.shape[1])
    for seen, left in KFold(_FOLDS, shuffle=True, random_state=0).split(columns):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
        forest.fit(columns[seen], target[seen])
        plain += float(((forest.predict(columns[left]) - target[left]) ** 2).sum())
        for place in range(columns.shape[1]):
            mixed = np.tile(columns[left], (_SHUFFLES, 1))
            # Of all trials: those of a fold alone may have one value.
            mixed[:, place] = random.choice(columns[:, place], len(mixed))
            errors = (forest.predict(mixed) - np.tile(target[left], _SHUFFLES)) ** 2
            shuffled[place] += float(errors.sum()) / _SHUFFLES
    return plain / len(target), shuffled / len(target)


def _distinct(params: Sequence[Mapping[str, Any]], key: str) -> set[str]:
    return {shown(one.get(key)) for one in params}


def positions(values: Sequence[Any]) -> list[float]:
    """0 to 1 along an axis: numbers by size, or by their logarithm; others in the order of their text."""
    numbers = [float(value) for value in values if is_plain_number(value)]
    if len(numbers) < len(values):
        order = sorted({shown(value) for value in values})
        return [order.index(shown(value)) / max(1, len(order) - 1) for value in values]
    if is_log(numbers):
        numbers = [math.log(number) for number in numbers]
    low, high = min(numbers), max(numbers)
    return [(number - low) / (high - low) if high > low else 0.5 for number in numbers]


def is_log(numbers: Sequence[float]) -> bool:
    """Whether numbers are so far apart that their ratios count."""
    return min(numbers) > 0 and max(numbers) >= _LOG_RATIO * min(numbers)


def is_plain_number(value: Any) -> bool:
    """A number that an axis can have; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
