"""The difference between two settings on the same images: how large, how certain, what would have been seen.

Images are paired; seeds of two settings are independent, also where their numbers are the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from bakeoff.comparison.statistics import ALPHA
from bakeoff.comparison.statistics.classical import student_quantile, two_sided_p
from bakeoff.comparison.statistics.noise import Noise, guard, noise_of
from bakeoff.comparison.statistics.values import WORST_NLL, Metric

LARGEST = {"accuracy": 1.0, "macro_f1": 1.0, "nll": WORST_NLL}  # of a difference
MIN_CLASS_IMAGES = 20  # for a test of a class's recall
_Z_80 = 0.841621233573  # quantile of the normal distribution at the power of 80 %


@dataclass(frozen=True)
class Difference:
    """A minus B. `df` and `satterthwaite_df` are None where no image tells the two apart."""

    difference: float
    low: float  # of the 95 % interval
    high: float
    p: float
    df: float | None
    satterthwaite_df: float | None  # before two runs on a side bound it
    variance_images: float
    variance_seeds: float
    variance_interplay: float  # the part of `variance_images` that more seeds would reduce
    effective_images: float  # how many carry the difference

    @property
    def variance(self) -> float:
        """Of the difference, both noises."""
        return self.variance_images + self.variance_seeds

    @property
    def seed_share(self) -> float:
        """Which part of the variance the seeds make."""
        return self.variance_seeds / self.variance if self.variance else 0.0

    @property
    def wants_seeds(self) -> bool:
        """Whether more seeds help more than more images would."""
        return self.variance_seeds > self.variance_images - self.variance_interplay


def table_df(settings: Sequence[Noise]) -> float:
    """What all runs of a table know of seed noise: the bound on two runs' degrees of freedom."""
    return sum(noise.num_runs - 1.0 for noise in settings)


def difference_of(a: Noise, b: Noise, metric: Metric, df_of_table: float) -> Difference:
    """Tests one pair.

    Args:
        a: one setting, after the guard.
        b: the other.
        metric: bounds the interval to what is possible.
        df_of_table: `table_df` of all settings of the table.
    """
    size = a.num_images
    by_image = a.image_means - b.image_means
    difference = float(by_image.mean())
    squares = (by_image - difference) ** 2
    total, fourth = float(squares.sum()), float((squares * squares).sum())
    image_variance = total / (size - 1) / size if size > 1 else 0.0
    sides = [noise for noise in (a, b) if noise.num_runs >= 2]
    seed_variance = sum(noise.seed_variance for noise in sides)
    interplay = sum(noise.floor / noise.num_runs for noise in sides)
    variance = image_variance + seed_variance
    if variance == 0:
        return _untold(difference, size, LARGEST[metric])
    df_images = 2 * total**2 / fourth if fourth else math.inf
    parts = image_variance**2 / df_images
    parts += sum((noise.guarded_variance / noise.num_runs) ** 2 / noise.df for noise in sides)
    satterthwaite = variance**2 / parts
    df = satterthwaite
    if any(noise.num_runs == 2 for noise in sides):
        df = min(df, max(4.0, 2 * df_of_table))
    margin = student_quantile(0.975, df) * math.sqrt(variance)
    return Difference(
        difference=difference,
        low=max(difference - margin, -LARGEST[metric]),
        high=min(difference + margin, LARGEST[metric]),
        p=two_sided_p(difference / math.sqrt(variance), df),
        df=df,
        satterthwaite_df=satterthwaite,
        variance_images=image_variance,
        variance_seeds=seed_variance,
        variance_interplay=interplay,
        effective_images=df_images / 2,
    )


def _untold(difference: float, size: int, largest: float) -> Difference:
    """No scatter at all: every image says the same of the two."""
    margin = 1 - 0.025 ** (1 / size)
    return Difference(
        difference=difference,
        low=max(difference - margin, -largest),
        high=min(difference + margin, largest),
        p=1.0 if difference == 0 else min(1.0, 2 * 0.5**size),
        df=None,
        satterthwaite_df=None,
        variance_images=0.0,
        variance_seeds=0.0,
        variance_interplay=0.0,
        effective_images=0.0,
    )


def detectable(pair: Difference, num_pairs: int) -> float | None:
    """The smallest true difference that 80 of 100 such comparisons would have found, after Holm.

    Noncentral t after Johnson and Welch (1940); the last factor is a margin found by measuring.

    Args:
        pair: what was tested.
        num_pairs: how many pairs were tested with it.
    """
    if pair.df is None or pair.satterthwaite_df is None:
        return None
    critical = student_quantile(1 - ALPHA / 2 / num_pairs, pair.df)
    away = critical * (1 - 1 / (4 * pair.df)) + _Z_80 * math.sqrt(1 + critical**2 / (2 * pair.df))
    return math.sqrt(pair.variance) * away * (1 + 1 / pair.satterthwaite_df)


def recall_noises(
    labels: Int[np.ndarray, "n"], right: Float64[np.ndarray, "runs n"], num_classes: int
) -> dict[int, Noise]:
    """Class -> noise of one setting's recall, before the guard, for classes of at least 20 images.

    Args:
        labels: true classes.
        right: 1 where a run was right.
        num_classes: classes 0..num_classes-1.
    """
    members = {number: np.flatnonzero(labels == number) for number in range(num_classes)}
    return {
        number: noise_of(right[:, images])
        for number, images in members.items()
        if len(images) >= MIN_CLASS_IMAGES
    }


def recall_differences(a: Mapping[int, Noise], b: Mapping[int, Noise]) -> dict[int, Difference]:
    """Class -> difference of two settings' recall; the guard sees these two alone."""
    differences = {}
    for number in a:
        one, other = guard([a[number], b[number]])
        differences[number] = difference_of(one, other, "accuracy", table_df([one, other]))
    return differences
