"""What was read of a run directory: a run whose figures hold, or the reason why it is none. No torch here."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.figures import MOST

if TYPE_CHECKING:
    from bakeoff.comparison.statistics.values import Outcomes

UNKNOWN = "unknown"  # what an older version, or somebody else, did not record
_WORD = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True)
class Run:
    """A finished run whose figures hold. Of the classes' own scores only their names are kept."""

    path: Path
    summary: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)  # empty if it cannot be read
    outcomes: "Outcomes | None" = None  # None if there are no predictions, or they were not asked for
    has_predictions: bool = False  # its scores were checked, or could be

    def text(self, *names: str) -> str:
        """A text of the summary by its nested names, or "unknown"."""
        value: Any = self.summary
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) else UNKNOWN

    @property
    def data_title(self) -> str:
        """How its data are called; older summaries have the data set's name alone."""
        title = self.summary.get("data_title")
        return title if isinstance(title, str) and title else str(self.summary["data"])

    @property
    def device(self) -> str:
        """The kind of device that it ran on: cpu, cuda, mps."""
        return _word(self._resolved("device"))

    @property
    def precision(self) -> str:
        """What it computed in: fp32, bf16, fp16."""
        return _word(self._resolved("precision"))

    @property
    def threads(self) -> str:
        """How many threads an operator had."""
        value = self._resolved("threads")
        return str(value) if type(value) is int and 0 < value < 2**31 else UNKNOWN

    @property
    def jobs_at_once(self) -> int:
        """How many runs its sweep had at once; 1 if it was alone, or if nothing says so."""
        value = self.environment.get("jobs_at_once")
        return value if type(value) is int and 0 < value < 2**31 else 1

    @property
    def max_seconds(self) -> float | None:
        """Its budget: the seconds after which its training was to end; None: it had none."""
        trainer = self.config.get("trainer")
        value = trainer.get("max_seconds") if isinstance(trainer, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if 0 < value <= MOST else None

    @property
    def steps(self) -> tuple[int, int | None]:
        """Steps that were done, and those that were planned to fit into its budget, if there was a plan."""
        done, planned = (self.summary.get(name) for name in ("steps_run", "planned_steps"))
        return done if type(done) is int else 0, planned if type(planned) is int else None

    @property
    def host(self) -> str:
        """The machine that it ran on."""
        value = self.environment.get("host")
        return value if isinstance(value, str) else UNKNOWN

    @property
    def date(self) -> str | None:
        """When it began, such as 2026-01-31 17:05:00, by this machine's clock; None if it does not say."""
        try:
            began = datetime.fromisoformat(str(self.environment.get("started"))).astimezone()
        except (ValueError, OverflowError, OSError):
            return None
        return began.isoformat(" ", "seconds")[:19]

    def _resolved(self, name: str) -> Any:
        """What `auto` became; older summaries do not say, their `environment.json` may."""
        resolved = self.summary.get("resolved")
        if isinstance(resolved, dict):
            return resolved.get(name)
        return self.environment.get(name)


def _word(value: Any) -> str:
    """A plain word; of cuda:0 the kind."""
    kind = value.partition(":")[0] if isinstance(value, str) else ""
    return kind if _WORD.fullmatch(kind) else UNKNOWN


@dataclass(frozen=True)
class Sealed:
    """What may be known of a finished run whose race or search goes on: nothing of its test images."""

    model: str
    setting: str
    val_accuracy: float | None


@dataclass(frozen=True)
class Problem:
    """A run directory that is not in the table, and why."""

    path: Path
    reason: str
    harmless: bool = False  # running, queued, pruned, or there twice: no reason for exit code 7
    may_go_on: bool = False  # with `bakeoff resume`
    waits: bool = False  # queued
    fold: str = ""  # what several such runs of a folder are called, after their number
    sealed: Sealed | None = None


def folded(problems: Sequence[Problem]) -> list[Problem]:
    """As people read them: the queued runs of a folder are one line, since a sweep may have hundreds."""
    alike = Counter((problem.path.parent, problem.fold) for problem in problems)
    told: dict[tuple[Path, str], Problem] = {}
    for problem in problems:
        folder = problem.path.parent
        num_runs = alike[folder, problem.fold] if problem.fold else 1
        if num_runs == 1:
            told[problem.path, ""] = problem
        else:
            told[folder, problem.fold] = Problem(folder, f"{num_runs:,} {problem.fold}", harmless=True)
    return list(told.values())
