"""Textbook statistics, in closed form: Wilson, McNemar, Holm, Benjamini and Hochberg, Student's quantile."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import bdtr, ndtri, stdtr, stdtrit

Z_975 = float(ndtri(0.975))
LEAST_DF = 1.0  # below it Student's t has no mean, and Satterthwaite's approximation no meaning
_ROUNDING = 1e-12  # of the numbers that were subtracted


def is_rounding(difference: float, size: float) -> bool:
    """Whether a difference of numbers of a certain size is only what float64 leaves of equal ones."""
    return abs(difference) <= _ROUNDING * size


def student_quantile(probability: float, df: float) -> float:
    """The value that Student's t stays below with a probability; infinite `df` is the normal distribution."""
    return float(ndtri(probability)) if math.isinf(df) else float(stdtrit(df, probability))


def two_sided_p(t: float, df: float) -> float:
    """Of Student's t, in both tails."""
    return float(2 * stdtr(df, -abs(t)))


def wilson(share: float, count: float, z: float = Z_975) -> tuple[float, float]:
    """Wilson's interval (1927) of a share among `count`; exactly 0 or 1 at the end where the share is."""
    centre = share + z * z / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (
        0.0 if share == 0 else max(0.0, min(share, (centre - margin) / scale)),
        1.0 if share == 1 else min(1.0, max(share, (centre + margin) / scale)),
    )


def mcnemar_mid_p(only_a: int, only_b: int) -> float:
    """McNemar's test of two networks (1947), mid-p (Fagerland, Lydersen and Laake 2013).

    Args:
        only_a: images that A alone has right.
        only_b: images that B alone has right.
    """
    if only_a == only_b:
        return 1.0
    fewer, total = min(only_a, only_b), only_a + only_b
    below = float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0
    up_to = float(bdtr(fewer, total, 0.5))
    return below + up_to


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the given order; the chance of any false alarm stays bounded (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values)[order] * np.arange(len(order), 0, -1)
    return _in_order(np.minimum(np.maximum.accumulate(steps), 1.0), order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the given order; the expected share of false alarms stays bounded (1995)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values)[order] * len(order) / np.arange(1, len(order) + 1)
    return _in_order(np.minimum.accumulate(np.minimum(steps, 1.0)[::-1])[::-1], order)


def _in_order(adjusted: Float64[np.ndarray, "n"], order: Int64[np.ndarray, "n"]) -> list[float]:
    in_order = np.empty(len(order))
    in_order[order] = adjusted
    return [float(value) for value in in_order]
