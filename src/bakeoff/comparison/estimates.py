"""Figures of single runs -> mean, spread and interval of a setting. No torch here."""

import math
import statistics
import sys
from collections.abc import Sequence

from bakeoff.comparison.read import Run
from bakeoff.comparison.tables import Estimate
from bakeoff.comparison.validity import is_number

# Where each figure of a summary stands. The scores are of the test images.
SCORES = {name: ("test", name) for name in ("accuracy", "macro_f1", "nll", "ece")}
COSTS = {
    "train_seconds": ("time", "train_seconds"),
    "train_images_per_second": ("speed", "train_images_per_second"),
    "latency_ms_batch1": ("speed", "latency_ms_batch1"),
    "parameters": ("cost", "parameters"),
    "forward_flops_per_image": ("cost", "forward_flops_per_image"),
    "peak_memory_bytes": ("cost", "peak_memory_bytes"),
}
METRICS = SCORES | COSTS


def estimates(runs: Sequence[Run]) -> dict[str, Estimate | None]:
    """What the runs of one setting say of each metric."""
    return {
        metric: _estimate([_value(run, *at) for run in runs], is_cost=metric in COSTS)
        for metric, at in METRICS.items()
    }


def _estimate(values: Sequence[float | None], *, is_cost: bool) -> Estimate | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = statistics.fmean(known)
    if len(known) == 1:
        return Estimate(mean, None)
    std = statistics.stdev(known)
    return Estimate(mean, std, *(_cost_interval(mean, std, len(known)) if is_cost else (None, None)))


def _cost_interval(mean: float, std: float, count: int) -> tuple[float, float]:
    """Student's t over the runs: no test image has a part in what a run costs."""
    if std == 0:
        return mean, mean
    from bakeoff.comparison.statistics.classical import student_quantile

    margin = student_quantile(0.975, count - 1) * std / math.sqrt(count)
    return max(0.0, mean - margin), mean + margin


def _value(run: Run, section: str, key: str) -> float | None:
    values = run.summary.get(section)
    found = values.get(key) if isinstance(values, dict) else None
    highest = 1.0 if key == "ece" else sys.float_info.max
    return float(found) if found is not None and is_number(found, 0.0, highest) else None
