"""Figures of single runs -> mean, spread and interval of a setting. No torch here."""

import math
import statistics
from collections.abc import Sequence

from bakeoff.comparison.figures import RUN_FIGURES, Figure, is_number, value_at
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import Estimate


def estimates(runs: Sequence[Run]) -> dict[str, Estimate | None]:
    """What the runs of one setting say of each figure."""
    return {
        name: _estimate([_value(run, figure) for run in runs], is_cost=figure.is_cost)
        for name, figure in RUN_FIGURES.items()
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


def _value(run: Run, figure: Figure) -> float | None:
    value = value_at(run.summary, figure.in_summary) if figure.in_summary else None
    return float(value) if is_number(value, 0.0, figure.highest) else None
