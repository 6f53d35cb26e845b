"""How many runs or test images a difference of a certain size needs, from the noise of the runs at hand.

More runs shrink the seeds' part of the variance and the luck on single images; the images' own part stays.
docs/statistics.md says how well three runs foretell it.
"""

import math
from dataclasses import dataclass

from scipy.special import ndtri

from bakeoff.comparison.statistics import ALPHA
from bakeoff.comparison.statistics.pairs import Z_80, Difference, shown_with_power

MOST_RUNS = 1000  # that are thought of
MOST_IMAGES = 10**9


@dataclass(frozen=True)
class Need:
    """What a pair needs so that 80 of 100 comparisons find a true difference."""

    runs: int | None  # of each of the two; None: these images cannot show it
    best_possible: float  # the difference that endless runs would show on these images
    images: (
        int | None
    )  # with endless runs; None where the images' own part is nothing, or beyond any data set


def needed(pair: Difference, num_images: int, num_pairs: int, difference: float) -> Need | None:
    """Runs and images for a true difference.

    Args:
        pair: as it was tested, with two runs or more on either side.
        num_images: that it was tested on.
        num_pairs: how many pairs are tested together.
        difference: above 0, in the metric's own unit.

    Returns:
        None where nothing is known of the noise: no image, or no seed, tells the two apart.
    """
    if pair.df is None or not pair.variance_of_a_run:
        return None
    lasting = pair.variance_lasting
    best = best_possible(lasting, num_pairs)
    images = math.ceil(num_images * (best / difference) ** 2) if lasting else None
    images = images if images is None or images <= MOST_IMAGES else None
    # The shown difference falls with every run, so the first number that is enough is the least.
    runs = next(
        (runs for runs in range(2, MOST_RUNS + 1) if _shown(pair, runs, num_pairs) <= difference), None
    )
    return Need(runs, best, images)


def _shown(pair: Difference, runs: int, num_pairs: int) -> float:
    """The difference that so many runs on either side would find."""
    seeds = pair.variance_of_a_run / runs
    variance = pair.variance_lasting + seeds
    df = 2 * (runs - 1) * (variance / seeds) ** 2  # 2 or more
    return shown_with_power(variance, df, num_pairs) * (1 + 1 / df)


def best_possible(variance_lasting: float, num_pairs: int) -> float:
    """The difference that endless runs would show with a power of 80 %."""
    return float(ndtri(1 - ALPHA / 2 / num_pairs) + Z_80) * math.sqrt(variance_lasting)
