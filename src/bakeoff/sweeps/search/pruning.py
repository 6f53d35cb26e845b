"""Which trials are stopped early: asked after each epoch, with the best value so far. No torch here.

The best so far and not the last value, because that is what the trial will be judged by.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakeoff.errors import ConfigError
from bakeoff.runs.records import EpochRecord
from bakeoff.sweeps.search.metrics import Metric

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

AUTO, MEDIAN, HYPERBAND, NONE = "auto", "median", "hyperband", "none"
_FIRST_WHOLE = 5  # trials that are trained to their end before the median says anything
_WARM_UP = 8  # the first epochs, a part in so many of all, stop no trial (docs/benchmarks.md)


def pruner_of(asked: str, metrics: Sequence[Metric]) -> str:
    """What `tune.pruner` means for these metrics.

    Raises:
        ConfigError: no epoch says how good a trial is by them.
    """
    can = len(metrics) == 1 and metrics[0].in_epoch is not None
    if asked == AUTO:
        return MEDIAN if can else NONE
    if asked != NONE and not can:
        names = ",".join(metric.name for metric in metrics)
        what = "several metrics" if len(metrics) > 1 else f"{names}, which only a whole run has"
        raise ConfigError(f"tune.pruner={asked}: cannot stop trials early by {what}; leave it at auto")
    return asked


def make_pruner(name: str, epochs: int) -> "BasePruner":
    """Optuna's.

    Args:
        name: as `pruner_of` gives it.
        epochs: the most that a trial trains.
    """
    from optuna import pruners

    if name == MEDIAN:
        return pruners.MedianPruner(n_startup_trials=_FIRST_WHOLE, n_warmup_steps=epochs // _WARM_UP)
    if name == HYPERBAND:
        return pruners.HyperbandPruner(min_resource=1, max_resource=max(1, epochs))
    return pruners.NopPruner()


def best_so_far(records: Sequence[EpochRecord], metric: Metric) -> dict[int, float]:
    """By each epoch that was validated, the best value until then."""
    found: dict[int, float] = {}
    best = math.nan
    for record in records:
        value = math.nan if record.val is None else getattr(record.val, str(metric.in_epoch))
        if math.isnan(value):
            continue
        if math.isnan(best) or (value > best if metric.is_larger_better else value < best):
            best = value
        found[record.epoch] = best
    return found
