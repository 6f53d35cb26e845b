"""What a run's history says: the best, last, least or most of a figure, and when a goal was reached.

No torch here.
"""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparison.figures import EPOCH_FIGURES, MOST, Figure, is_number
from bakeoff.comparison.tables import Estimate, SecondsTo
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest
from bakeoff.runs.reading import UnreadableFileError, read_bytes
from bakeoff.runs.rundir import EPOCHS

_MAX_HISTORY_BYTES = 64 * 2**20
History = list[dict[str, Any]]  # epochs by dotted names
_FORM = re.compile(r"(best|last|min|max)\(([\w.]+)\)")


@dataclass(frozen=True)
class HistoryMetric:
    """Such as `best(val.accuracy)`."""

    reduction: str
    figure: Figure

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return f"{self.reduction}({self.figure.in_epoch})"

    def of(self, epochs: Sequence[Mapping[str, Any]]) -> float | None:
        """The value of one run; None if its history has no such figure."""
        of_epochs = [epoch.get(self.figure.in_epoch or "") for epoch in epochs]
        values = [float(value) for value in of_epochs if is_number(value, -MOST, MOST)]
        if not values:
            return None
        if self.reduction == "last":
            return values[-1]
        best_is_smallest = self.figure.better == "smaller"
        takes_smallest = self.reduction == "min" or (self.reduction == "best" and best_is_smallest)
        return min(values) if takes_smallest else max(values)


def parse_metric(text: str) -> HistoryMetric:
    """Reads `best|last|min|max(figure)`.

    Raises:
        ConfigError: another form, or a figure that no history has.
    """
    match = _FORM.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ConfigError(
            f"--metric {text}: write best, last, min or max of a metric, as in best(val.accuracy)"
        )
    figure = EPOCH_FIGURES.get(match[2])
    if figure is None:
        hint = nearest(match[2], EPOCH_FIGURES) or f"; there are {', '.join(EPOCH_FIGURES)}"
        raise ConfigError(f"--metric {text}: {match[2]}: no such metric{hint}")
    return HistoryMetric(match[1], figure)


def read_history(run: Path) -> History:
    """The epochs of a run directory by dotted names.

    An incomplete last line is dropped, a damaged file is empty.
    """
    try:
        lines = read_bytes(run / EPOCHS, _MAX_HISTORY_BYTES).splitlines()
        # An incomplete last line is still being written.
        whole = [line for place, line in enumerate(lines) if place < len(lines) - 1 or line.endswith(b"}")]
        records = [json.loads(line) for line in whole]
        return [dotted_keys(record) for record in records if isinstance(record, dict)]
    except (UnreadableFileError, ValueError, RecursionError):
        return []


def estimate(histories: Sequence[History], metric: HistoryMetric) -> Estimate | None:
    """Mean and spread over the runs of a setting."""
    known = [value for epochs in histories if (value := metric.of(epochs)) is not None]
    if not known:
        return None
    return Estimate(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def seconds_to(histories: Sequence[History], accuracy: float) -> SecondsTo | None:
    """When the runs of a setting reached a validation accuracy; None without any history."""
    reached: list[float] = []
    missed: list[float] = []
    for epochs in histories:
        total, is_reached = 0.0, False
        for epoch in epochs:
            total += epoch["train_seconds"] if is_number(epoch.get("train_seconds"), 0.0, MOST) else 0.0
            if is_number(epoch.get("val.accuracy"), accuracy, 1.0):
                is_reached = True
                break
        if epochs:
            (reached if is_reached else missed).append(total)
    return SecondsTo(accuracy, tuple(reached), tuple(missed)) if reached or missed else None
