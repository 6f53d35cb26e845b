"""How much the score of one setting scatters: seed noise, compared with the floor of pure luck.

Each run has a value per image. Part of the scatter between runs is luck on single images (*interplay*),
which the floor estimates; what is above it is the seed's own. With two or three runs this is easily too
small by chance, so no setting is believed to be less noisy than the settings of its table typically are.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from bakeoff.comparison.statistics.classical import LEAST_DF, is_rounding, student_quantile, wilson
from bakeoff.comparison.statistics.values import WORST_NLL, Metric

_NOTHING = 1e-12  # of the total sum of squares: rounding
_MOST_DF_OF_TWO_RUNS = 4.0
_LARGEST_EXPONENT = 700.0  # that a float64 holds


@dataclass(frozen=True)
class Noise:
    """One setting under one metric. `variance`, `floor` and `df` of a single run are 0 and infinite."""

    num_runs: int
    image_means: Float64[np.ndarray, "n"]  # the value of each image, averaged over the runs
    scores: Float64[np.ndarray, "runs"]
    mean: float
    variance: float  # of the scores over the runs
    floor: float  # what the variance would be on average by luck on single images alone
    guarded_variance: float
    df: float  # that the guarded variance is worth

    @property
    def num_images(self) -> int:
        """How many images the values are of."""
        return len(self.image_means)

    @property
    def seed_variance(self) -> float:
        """Variance of the mean score that the seed adds to the luck on single images."""
        return max(0.0, self.guarded_variance - self.floor) / self.num_runs

    @property
    def takes_part_in_guard(self) -> bool:
        """Whether its runs say something about seed noise."""
        return self.num_runs >= 2 and self.floor > 0


def noise_of(values: Float64[np.ndarray, "runs n"]) -> Noise:
    """The noise of one setting before the guard, from the values of its runs' images."""
    num_runs, num_images = values.shape
    scores, image_means = values.mean(axis=1), values.mean(axis=0)
    mean = float(scores.mean())
    if num_runs == 1:
        return Noise(1, image_means, scores, mean, 0.0, 0.0, 0.0, math.inf)
    size = float(np.abs(values).max())
    is_alike = is_rounding(float(np.abs(scores - mean).max()), size)
    variance = 0.0 if is_alike else float(((scores - mean) ** 2).sum() / (num_runs - 1))
    luck = values - scores[:, None] - image_means + mean
    squares = float((luck * luck).sum())
    if squares < _NOTHING * float(((values - mean) ** 2).sum()) or is_rounding(
        float(np.abs(luck).max()), size
    ):
        squares = 0.0
    floor = squares / ((num_runs - 1) * (num_images - 1)) / num_images if num_images > 1 else 0.0
    return Noise(num_runs, image_means, scores, mean, variance, floor, variance, num_runs - 1.0)


def guard(settings: Sequence[Noise]) -> list[Noise]:
    """Lifts seed noise that is smaller than is typical of the table.

    Args:
        settings: all of one table (one test set, one metric).
    """
    taking_part = [noise for noise in settings if noise.takes_part_in_guard]
    if len(taking_part) < 2:
        return list(settings)
    ratios = [noise.variance / noise.floor for noise in taking_part]
    dfs = [noise.num_runs - 1.0 for noise in taking_part]
    if len(taking_part) == 2:
        typical = float(np.average(ratios, weights=dfs))
        typical_df, bonus = sum(dfs), 0.0
    else:
        # A median, so that one broken run makes no other setting look noisy.
        typical = statistics.median(ratio / _median_share(df) for ratio, df in zip(ratios, dfs, strict=True))
        typical_df = 2 / math.pi * len(dfs) / statistics.fmean(1 / df for df in dfs)
        bonus = 1.0  # what the table knows is worth one run
    return [_guarded(noise, typical, typical_df, bonus) for noise in settings]


def _guarded(noise: Noise, typical: float, typical_df: float, bonus: float) -> Noise:
    if not noise.takes_part_in_guard:
        return noise
    df = noise.num_runs - 1.0
    if noise.variance / noise.floor < typical:
        return dataclasses.replace(noise, guarded_variance=typical * noise.floor, df=max(df, typical_df))
    return dataclasses.replace(noise, guarded_variance=noise.variance, df=df + bonus)


def _median_share(df: float) -> float:
    """About the median of chi-square / df (Wilson and Hilferty 1931)."""
    return (1 - 2 / (9 * df)) ** 3


def own_interval(noise: Noise, metric: Metric) -> tuple[float, float] | None:
    """The 95 % interval of a setting's score; of one run it speaks of that one network.

    Returns:
        Lowest and highest; None where nothing can be said (an NLL of exactly 0).
    """
    if metric == "nll":
        return _own_nll_interval(noise) if noise.mean else None
    size, mean = noise.num_images, noise.mean
    for end in (0.0, 1.0):
        if is_rounding(mean - end, 1.0):
            return wilson(end, size)
    variance = _own_image_noise(noise)[0] + noise.seed_variance
    if variance == 0 or (noise.num_runs == 1 and metric == "accuracy"):
        return wilson(mean, size)
    return wilson(mean, effective_images(noise), student_quantile(0.975, _own_df(noise, variance)))


def _own_nll_interval(noise: Noise) -> tuple[float, float]:
    """Symmetric on a logarithmic scale, and within what is possible."""
    mean = noise.mean
    image_variance, df_images = _own_image_noise(noise)
    variance = image_variance + noise.seed_variance
    low, high = mean, mean
    if variance:
        df = _own_df(noise, variance, image_variance**2 / df_images if image_variance else 0.0)
        exponent = student_quantile(0.975, df) * math.sqrt(variance) / mean
        factor = math.exp(min(exponent, _LARGEST_EXPONENT))
        low, high = mean / factor, min(mean * factor, max(mean, WORST_NLL))
    if image_variance == 0:
        # All images say the same; at most this share of all images says otherwise, and may say the worst.
        otherwise = 1 - 0.025 ** (1 / noise.num_images)
        low = min(low, mean * (1 - otherwise))
        high = max(high, mean + otherwise * max(0.0, WORST_NLL - mean))
    return low, high


def effective_images(noise: Noise) -> float:
    """How many independent images would leave the uncertainty that seeds and images leave."""
    variance = _own_image_noise(noise)[0] + noise.seed_variance
    size = float(noise.num_images)
    return min(size, noise.mean * (1 - noise.mean) / variance) if variance else size


def _own_image_noise(noise: Noise) -> tuple[float, float]:
    """Variance of the mean score over other test images, and the degrees of freedom it is known with."""
    deviations = noise.image_means - noise.mean
    if is_rounding(float(np.abs(deviations).max()), float(np.abs(noise.image_means).max())):
        return 0.0, math.inf
    squares = deviations**2
    total, fourth = float(squares.sum()), float((squares * squares).sum())
    return total / noise.num_images**2, 2 * total**2 / fourth if fourth else math.inf


def _own_df(noise: Noise, variance: float, image_part: float = 0.0) -> float:
    """Satterthwaite's degrees of freedom of one setting's variance (1946)."""
    if noise.num_runs > 1 and noise.guarded_variance:
        image_part += (noise.guarded_variance / noise.num_runs) ** 2 / noise.df
    df = max(variance**2 / image_part, LEAST_DF) if image_part else math.inf
    return min(df, _MOST_DF_OF_TWO_RUNS) if noise.num_runs == 2 else df
