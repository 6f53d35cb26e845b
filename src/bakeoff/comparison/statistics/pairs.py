"""The difference between two settings on the same images: how large, how certain, what would have been seen.

Images are paired; seeds of two settings are independent, also where their numbers are the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from bakeoff.comparison.statistics import ALPHA
from bakeoff.comparison.statistics.classical import LEAST_DF, student_quantile, two_sided_p
from bakeoff.comparison.statistics.few_images import scatter_between, with_pseudo_images
from bakeoff.comparison.statistics.noise import Noise, guard, noise_of
from bakeoff.comparison.statistics.values import WORST_NLL, Metric

LARGEST = {"accuracy": 1.0, "macro_f1": 1.0, "nll": WORST_NLL}  # of a difference
MIN_CLASS_IMAGES = 20  # for a test of a class's recall
Z_80 = 0.841621233573  # quantile of the normal distribution at the power of 80 %


@dataclass(frozen=True)
class Difference:
    """A minus B. `df` and `satterthwaite_df` are None where all images say the same, and the runs too."""

    difference: float
    low: float  # of the 95 % interval
    high: float
    p: float
    df: float | None  # at least 1
    satterthwaite_df: float | None  # before its bounds
    variance_images: float  # with the images that were added
    variance_seeds: float
    variance_interplay: float  # the part of `variance_images` that more seeds would reduce
    variance_of_a_run: float  # with r runs on either side, the seeds and the interplay leave an r-th of it
    effective_images: float  # how many carry the difference
    is_within_domain: bool  # enough images and runs to say what would have been seen
    largest: float  # that a difference can be

    @property
    def variance(self) -> float:
        """Of the difference, both noises."""
        return self.variance_images + self.variance_seeds

    @property
    def variance_lasting(self) -> float:
        """What endless seeds would leave: the images' own."""
        return max(0.0, self.variance_images - self.variance_interplay)

    @property
    def seed_share(self) -> float | None:
        """Which part of the variance the seeds make; None without any variance.

        Luck on single images shrinks with more seeds and with more images, so half of it is counted for each.
        """
        if not self.variance:
            return None
        interplay = min(self.variance_interplay, self.variance_images)  # an estimate may exceed its whole
        return (self.variance_seeds + interplay / 2) / self.variance

    @property
    def wants_seeds(self) -> bool:
        """Whether more seeds help more than more images would."""
        return self.seed_share is not None and self.seed_share > 1 / 2


def table_df(settings: Sequence[Noise]) -> float:
    """What all runs of a table know of seed noise: the bound on two runs' degrees of freedom."""
    return sum(noise.num_runs - 1.0 for noise in settings)


def difference_of(
    a: Noise, b: Noise, metric: Metric, df_of_table: float, *, adds_images: bool = True
) -> Difference:
    """Tests one pair.

    Args:
        a: one setting, after the guard.
        b: the other.
        metric: bounds the interval to what is possible.
        df_of_table: `table_df` of all settings of the table.
        adds_images: whether pseudo-images stand in where too few images differ.
    """
    size, largest = a.num_images, LARGEST[metric]
    scatter = scatter_between(a.image_means, b.image_means, metric)
    sides = [noise for noise in (a, b) if noise.num_runs >= 2]
    seed_variance = sum(noise.seed_variance for noise in sides)
    # Runs that no image tells apart are copies of one another: their seeds do not tell them apart either.
    if scatter.squares == 0 and (seed_variance == 0 or scatter.mean == 0):
        return _unanimous(scatter.mean, size, largest)
    counted = with_pseudo_images(scatter) if adds_images else scatter
    image_variance = counted.squares / max(size - 1, 1) / size
    interplay = sum(noise.floor / noise.num_runs for noise in sides)
    variance = image_variance + seed_variance
    parts = image_variance**2 / counted.df
    parts += sum((noise.guarded_variance / noise.num_runs) ** 2 / noise.df for noise in sides)
    satterthwaite = variance**2 / parts
    df = max(satterthwaite, LEAST_DF)
    if any(noise.num_runs == 2 for noise in sides):
        df = min(df, max(4.0, 2 * df_of_table))
    margin = student_quantile(0.975, df) * math.sqrt(variance)
    return Difference(
        difference=scatter.mean,
        low=max(scatter.mean - margin, -largest),
        high=min(scatter.mean + margin, largest),
        p=two_sided_p(scatter.mean / math.sqrt(variance), df),
        df=df,
        satterthwaite_df=satterthwaite,
        variance_images=image_variance,
        variance_seeds=seed_variance,
        variance_interplay=interplay,
        variance_of_a_run=sum(noise.num_runs * noise.seed_variance + noise.floor for noise in sides),
        effective_images=scatter.telling,
        is_within_domain=counted is scatter and satterthwaite >= LEAST_DF,
        largest=largest,
    )


def _unanimous(difference: float, size: int, largest: float) -> Difference:
    """No scatter at all: every image says the same of the two.

    Then at most a share of 1 - 0.025^(1/n) of all images says otherwise (exact, 97.5 % on either side). If no
    image tells the two apart, such an image may count for 1; if all do, it may say the opposite, and p is the
    sign test's.
    """
    otherwise = 1 - 0.025 ** (1 / size)
    margin = otherwise * (2 * abs(difference) if difference else 1.0)
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
        variance_of_a_run=0.0,
        effective_images=float(size) if difference else 0.0,
        is_within_domain=False,
        largest=largest,
    )


def detectable(pair: Difference, num_pairs: int) -> float | None:
    """The smallest true difference that 80 of 100 such comparisons would have found, after Holm.

    Noncentral t after Johnson and Welch (1940); the last factor is a margin found by measuring.

    Args:
        pair: what was tested.
        num_pairs: how many pairs were tested with it.

    Returns:
        None where too few images or runs carry the pair, and where no possible difference is as large.
    """
    if pair.df is None or pair.satterthwaite_df is None or not pair.is_within_domain:
        return None
    smallest = shown_with_power(pair.variance, pair.df, num_pairs) * (1 + 1 / pair.satterthwaite_df)
    return smallest if smallest <= pair.largest else None


def shown_with_power(variance: float, df: float, num_pairs: int) -> float:
    """The true difference that is found with a power of 80 % (Johnson and Welch 1940), before any margin."""
    critical = student_quantile(1 - ALPHA / 2 / num_pairs, df)
    away = critical * (1 - 1 / (4 * df)) + Z_80 * math.sqrt(1 + critical**2 / (2 * df))
    return math.sqrt(variance) * away


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
        df = table_df([one, other])
        differences[number] = difference_of(one, other, "accuracy", df, adds_images=False)
    return differences
