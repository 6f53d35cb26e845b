"""Simulated runs that do not follow the model of the tests that judge them.

A run has an image right if theta, the seed's shift and luck together exceed the image's difficulty.
Difficulty is shared by the architectures in part (Student's t with 4 degrees of freedom), the rest is each
one's own (Laplace); shifts are skewed to poor seeds (gamma). Fitted to real runs: docs/benchmarks.md.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import gamma

from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df
from bakeoff.comparison.statistics.values import Metric, Outcomes, values_of
from bakeoff.evaluation.metrics import PROBABILITY_FLOOR

CLASSES = 10
_SPREAD = 5.1  # of difficulty, in units of luck
_SHARED = 0.74  # of its variance


@dataclass(frozen=True)
class Architecture:
    """How good it is on average, and how far its seeds scatter."""

    theta: float
    sigma: float


class Images:
    """One test set: n images, their labels and the part of their difficulty that all architectures share."""

    def __init__(self, random: np.random.Generator, count: int) -> None:
        self.random, self.count = random, count
        self.labels = (np.arange(count) % CLASSES).astype(np.int16)
        self.shared = np.sqrt(_SHARED) * random.standard_t(4, count) / np.sqrt(2)

    def difficulty(self) -> np.ndarray:
        """For one architecture, its own part drawn."""
        own = np.sqrt(1 - _SHARED) * self.random.laplace(size=self.count) / np.sqrt(2)
        return np.asarray(_SPREAD * (self.shared + own))

    def runs(self, architecture: Architecture, difficulty: np.ndarray, num_runs: int) -> list[Outcomes]:
        """Trains one architecture with some seeds."""
        return [self._run(architecture, difficulty) for _ in range(num_runs)]

    def _run(self, architecture: Architecture, difficulty: np.ndarray) -> Outcomes:
        random = self.random
        shift = -architecture.sigma * (random.gamma(4) - 4) / 2
        luck = random.logistic(size=self.count)
        sureness = architecture.theta + shift + luck - difficulty
        wrong = (self.labels + random.integers(1, CLASSES, self.count)) % CLASSES
        guesses = np.where(sureness > 0, self.labels, wrong).astype(np.int16)
        nll = -np.log(np.maximum(expit(sureness), PROBABILITY_FLOOR))
        return Outcomes(self.labels, guesses, nll, CLASSES)


def true_accuracy(architecture: Architecture, count: int = 200_000) -> float:
    """Over a population of images and all seeds."""
    images = Images(np.random.default_rng(0), count)
    difficulty = images.difficulty()
    quantiles = (np.arange(50) + 0.5) / 50
    shifts = -architecture.sigma * (gamma.ppf(quantiles, 4) - 4) / 2
    return float(np.mean([expit(architecture.theta + shift - difficulty).mean() for shift in shifts]))


def runs_that_err_at_random(images: Images, num_runs: int, *, same_images: bool) -> list[Outcomes]:
    """Each image is wrong with a chance of 5 %: the same ones in all runs, or others in each."""
    count = images.count
    always = images.random.random(count) < 0.05
    found = []
    for _ in range(num_runs):
        wrong = always if same_images else images.random.random(count) < 0.05
        guesses = np.where(wrong, (images.labels + 1) % CLASSES, images.labels).astype(np.int16)
        found.append(Outcomes(images.labels, guesses, -np.log(np.where(wrong, 0.2, 0.9)), CLASSES))
    return found


def pairs_of(settings: Sequence[Sequence[Outcomes]], metric: Metric) -> list[Difference]:
    """All pairs of a table, tested as `compare` does."""
    noises = guard([noise_of(np.stack([values_of(metric, run) for run in runs])) for runs in settings])
    df = table_df(noises)
    return [difference_of(a, b, metric, df) for a, b in itertools.combinations(noises, 2)]


def called_real(settings: Sequence[Sequence[Outcomes]], metric: Metric) -> bool:
    """Whether the difference of two settings is called real."""
    (pair,) = pairs_of(settings, metric)
    assert np.isfinite([pair.low, pair.high, pair.p]).all()
    assert (pair.p < 0.05) == (pair.low > 0 or pair.high < 0)
    return pair.p < 0.05
