"""How far the images' differences scatter, and what stands in where too few images differ.

Student's t asks for a handful of images that tell two settings apart. Where there are fewer, pseudo-images
are added, half of them for either side, as Agresti and Min (2005) add them to tables of paired proportions:
the difference stays, the scatter is that of five images. docs/statistics.md says what simulation showed.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from bakeoff.comparison.statistics.classical import is_rounding
from bakeoff.comparison.statistics.values import Metric

ENOUGH = 5.0  # images that tell two settings apart
FEW_IMAGES = 50  # of a test set


@dataclass(frozen=True)
class Scatter:
    """Of a value per image around its mean."""

    mean: float
    squares: float  # sum of squared deviations
    fourths: float  # sum of their squares
    telling: float  # how many images carry them
    largest: float  # value, without its sign

    @property
    def df(self) -> float:
        """Degrees of freedom: twice the effective number of images; infinite where nothing scatters."""
        return 2 * self.squares**2 / self.fourths if self.fourths else math.inf


def scatter_between(a: Float64[np.ndarray, "n"], b: Float64[np.ndarray, "n"], metric: Metric) -> Scatter:
    """Of the difference A - B of each image; what is smaller than rounding is 0."""
    by_image = a - b
    mean = float(by_image.mean())
    deviations = by_image - mean
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    largest = float(np.abs(by_image).max())
    if is_rounding(float(np.abs(deviations).max()), size):
        mean = 0.0 if is_rounding(mean, size) else mean
        return Scatter(mean, 0.0, 0.0, float(len(a)) if mean else 0.0, largest)
    squared = deviations**2
    squares, fourths = float(squared.sum()), float((squared * squared).sum())
    return Scatter(mean, squares, fourths, _telling(by_image, squares**2 / fourths, metric), largest)


def _telling(by_image: Float64[np.ndarray, "n"], effective: float, metric: Metric) -> float:
    """How many images tell the two apart."""
    if metric == "nll":
        # The NLL of nearly every image differs a little: few large differences among many are not few images.
        return float(np.abs(by_image).sum()) ** 2 / float((by_image**2).sum())
    if len(by_image) < FEW_IMAGES:
        # Here images that do not differ lie as far from the mean as those that do, and would be counted too.
        squares = by_image**2
        return min(effective, float(squares.sum()) ** 2 / float((squares * squares).sum()))
    return effective


def with_pseudo_images(scatter: Scatter) -> Scatter:
    """The same if enough images tell the two apart; else with those that are missing.

    Each is as large as the largest difference seen, and at least 1: an image that only one side has right.
    """
    missing = ENOUGH - scatter.telling
    if missing <= 0:
        return scatter
    square = max(1.0, scatter.largest) ** 2
    return dataclasses.replace(
        scatter, squares=scatter.squares + missing * square, fourths=scatter.fourths + missing * square**2
    )
