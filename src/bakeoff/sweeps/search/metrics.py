"""What a search may look for: each figure by its name, where it is stored, which way is better. No torch.

Only figures of the validation images and of costs are in the table: no decision reads a test label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bakeoff.comparison.figures import EPOCH_FIGURES, FIGURES, is_number, value_at
from bakeoff.errors import ConfigError, nearest
from bakeoff.text import counted

MAXIMIZE: Literal["maximize"] = "maximize"
MINIMIZE: Literal["minimize"] = "minimize"
_SCORES = ("val.accuracy", "val.macro_f1", "val.nll")


@dataclass(frozen=True)
class Metric:
    """One figure of a run."""

    name: str
    path: str  # in `summary.json`
    direction: Literal["maximize", "minimize"]
    in_epoch: str | None  # the field of an epoch's validation scores; None: no epoch has it

    def value(self, summary: Mapping[str, Any]) -> float | None:
        """The figure of a finished run; None if its summary has none."""
        found = value_at(summary, self.path)
        return float(found) if is_number(found) else None

    @property
    def is_larger_better(self) -> bool:
        """The direction as a word of yes and no."""
        return self.direction == MAXIMIZE


def _table() -> dict[str, Metric]:
    found = {
        name: Metric(name, name, _direction(EPOCH_FIGURES[name].better), name.removeprefix("val."))
        for name in _SCORES
    }
    for figure in FIGURES:
        if figure.is_cost and figure.in_summary and figure.better:
            for name in dict.fromkeys((figure.short, figure.name)):
                found[name] = Metric(name, figure.in_summary, _direction(figure.better), None)
    found["peak_memory"] = Metric("peak_memory", "cost.peak_memory_bytes", MINIMIZE, None)
    return found


def _direction(better: str | None) -> Literal["maximize", "minimize"]:
    return MAXIMIZE if better == "larger" else MINIMIZE


METRICS = _table()


def metrics_of(asked: str | Sequence[str]) -> list[Metric]:
    """The metrics that `tune.metric` names.

    Raises:
        ConfigError: an unknown one, the same twice, or none.
    """
    names = [asked] if isinstance(asked, str) else list(asked)
    if not names:
        raise ConfigError("tune.metric: none; write tune.metric=val.accuracy")
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"tune.metric={name}: {_not_one(name)}")
    found = [METRICS[name] for name in names]
    if len({metric.path for metric in found}) < len(found):
        raise ConfigError(
            f"tune.metric=[{','.join(names)}]: {counted(len(names), 'metric')}, two are the same"
        )
    return found


def _not_one(name: str) -> str:
    if name.partition(".")[0] == "test":
        return "a search never looks at test images; write val." + name.removeprefix("test.")
    if name in ("accuracy", "macro_f1", "nll"):
        return f"write val.{name}; a search never looks at test images"
    return f"no such metric; there are {', '.join(METRICS)}{nearest(name, METRICS)}"
