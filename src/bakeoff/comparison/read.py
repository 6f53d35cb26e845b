"""Run directories -> checked runs, and a reason for every directory that is none.

Runs come from other people and older versions: nothing is resolved, executed or unpickled, and a
value out of its range never enters a mean. No torch here.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.validity import checked_outcomes, invalid_summary
from bakeoff.runs import rundir
from bakeoff.runs.storage import UnreadableFileError, read_json, without_nan

if TYPE_CHECKING:
    from bakeoff.comparison.statistics.values import Outcomes

UNKNOWN = "unknown"  # what an older version, or somebody else, did not record
_LONGEST_REASON = 300  # characters
# A run on another host whose status is older than this is lost; on this host the process is asked.
_LOST_AFTER_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """A finished run whose figures hold."""

    path: Path
    summary: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)  # empty if it cannot be read
    outcomes: "Outcomes | None" = None  # None if there are no predictions, or they were not asked for

    def text(self, *names: str) -> str:
        """A text of the summary by its nested names, or "unknown"."""
        value: Any = self.summary
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, str) else UNKNOWN


@dataclass(frozen=True)
class Problem:
    """A run directory that is not in the table, and why."""

    path: Path
    reason: str
    harmless: bool = False  # running, queued, or there twice: no reason for exit code 7


def read_runs(paths: Iterable[Path], *, predictions: bool = True) -> tuple[list[Run], list[Problem]]:
    """Reads run directories; of several runs of one identity the first finished one counts.

    Args:
        paths: run directories.
        predictions: whether to read them and hold each summary against them.
    """
    runs: list[Run] = []
    problems: list[Problem] = []
    for path in paths:
        result = read_run(path, predictions=predictions)
        if isinstance(result, Run):
            runs.append(result)
        else:
            problems.append(result)
    kept: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (_finished_at(run), str(run.path))):
        identity = run.summary.get("identity")
        if isinstance(identity, str) and identity in kept:
            problems.append(Problem(run.path, f"the same run as {kept[identity].path.name}", harmless=True))
        else:
            kept[identity if isinstance(identity, str) else str(run.path)] = run
    order = {path: place for place, path in enumerate(run.path for run in runs)}
    return sorted(kept.values(), key=lambda run: order[run.path]), problems


def read_run(path: Path, *, predictions: bool = True) -> Run | Problem:
    """Reads and checks one run directory."""
    if not os.path.lexists(path / rundir.SUMMARY):
        return _unfinished(path)
    try:
        summary = read_json(path / rundir.SUMMARY)
        config = without_nan(read_json(path / rundir.CONFIG))
        if reason := invalid_summary(summary):
            return Problem(path, reason[:_LONGEST_REASON])
        outcomes = checked_outcomes(path, summary) if predictions else None
    except UnreadableFileError as error:
        return Problem(path, str(error)[:_LONGEST_REASON])
    return Run(path, summary, config, _environment(path), outcomes)


def _environment(path: Path) -> dict[str, Any]:
    try:
        return read_json(path / rundir.ENVIRONMENT)
    except UnreadableFileError:
        return {}


def _unfinished(path: Path) -> Problem:
    if not os.access(path, os.R_OK | os.X_OK):
        return Problem(path, "cannot be read: permission denied")
    try:
        status = read_json(path / rundir.STATUS)
    except UnreadableFileError as error:
        return Problem(path, f"not finished: no {rundir.SUMMARY}; {error}")
    name = str(status.get("status"))[:_LONGEST_REASON]
    step, error_text = status.get("step"), str(status.get("error") or "")[:_LONGEST_REASON]
    if name in ("running", "queued"):
        if _is_lost(status):
            return Problem(
                path,
                f"lost: no sign of life since {str(status.get('heartbeat'))[:40]}, step {str(step)[:40]}",
            )
        return Problem(
            path, f"{name}: step {str(step)[:40]}, {str(status.get('heartbeat'))[:40]}", harmless=True
        )
    if name == "finished":
        return Problem(path, f"not finished: no {rundir.SUMMARY}")
    return Problem(path, f"{name}: {error_text}" if error_text else name)


def _is_lost(status: dict[str, Any]) -> bool:
    pid = status.get("pid")
    if status.get("host") == socket.gethostname() and isinstance(pid, int) and pid > 0:
        try:
            os.kill(pid, 0)  # signal 0 only asks whether the process is there
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            return False
        return False
    try:
        age = datetime.now(UTC) - datetime.fromisoformat(str(status.get("heartbeat")))
    except (ValueError, TypeError):
        return True
    return age.total_seconds() > _LOST_AFTER_SECONDS


def _finished_at(run: Run) -> str:
    try:
        return str(read_json(run.path / rundir.STATUS).get("heartbeat"))
    except UnreadableFileError:
        return ""
