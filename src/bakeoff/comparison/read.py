"""Run directories -> checked runs, and a reason for every directory that is none.

Runs come from other people and older versions: nothing is resolved, executed or unpickled, and a
value out of its range never enters a mean. No torch here.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bakeoff.comparison.counted import counted
from bakeoff.comparison.figures import number_at
from bakeoff.comparison.run import UNKNOWN, Problem, Run, Sealed
from bakeoff.comparison.validity import checked_outcomes, invalid_summary
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import bar_width
from bakeoff.runs import rundir
from bakeoff.runs.locate import holds_nothing
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.states import HARMLESS, INTERRUPTED, LOST, NO_RESULT, PRUNED, QUEUED, RUNNING, state_of
from bakeoff.runs.storage import without_nan
from bakeoff.runs.studies import is_sealed, run_name, sweep_of, tune_of
from bakeoff.text import one_line, percent

__all__ = ["UNKNOWN", "Problem", "Run", "guarded", "read_run", "read_runs"]

Read = TypeVar("Read")

_LONGEST_REASON = 300  # characters
_OF_TEST = re.compile(r"\btest\.")
_DAMAGED = "its test scores cannot be right; what is wrong is told when its race or search has ended"
_TRIAL = "a trial of a search: its score is a chosen one; --all shows it"
_TRIALS = "trials of the search are left out: their scores are chosen ones; --all shows them"
_STOPPED_EARLY = "trials were stopped early by the search (pruned)"
_QUEUED = "runs are queued: not started"
_LONGEST_NAME = 80
_SILENT_SECONDS = 1.0  # before a progress bar appears


class _Parts:
    """What many runs have alike, kept in memory once: sections of their configs, names of classes."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def shared(self, record: dict[str, Any]) -> dict[str, Any]:
        return {key: self.one(value) for key, value in record.items()}

    def one(self, value: Any) -> Any:
        if isinstance(value, dict):
            value = self.shared(value)
        return self._known.setdefault(repr(value), value) if isinstance(value, dict | list) else value


def read_runs(
    paths: Iterable[Path], *, predictions: bool = True, trials: bool = False
) -> tuple[list[Run], list[Problem]]:
    """Reads run directories; of an identity, and of a configuration's seed, one run counts.

    Runs of a race or a search that goes on are none: their test images are closed.

    Args:
        paths: run directories.
        predictions: whether to read them and hold each summary against them.
        trials: whether those count by which a search has chosen, besides what came of it.

    Raises:
        InterruptedRunError: a signal came, in a sweep.
    """
    runs: list[Run] = []
    problems: list[Problem] = []
    parts = _Parts()
    for path in _with_progress(list(paths)):
        check_stop()
        read = partial(_read, path, parts, predictions=predictions)
        result = guarded(path, partial(_admitted, path, read, trials=trials))
        if isinstance(result, Run):
            runs.append(result)
        else:
            problems.append(result)
    kept, left_out = counted(runs)
    return kept, problems + left_out


def _with_progress(paths: Sequence[Path]) -> Iterable[Path]:
    """Shows a person at a terminal how far it is, if it takes longer than a second."""
    if sys.stderr is None or not sys.stderr.isatty():
        return paths
    from tqdm import tqdm

    bar: Iterable[Path] = tqdm(
        paths, "reading", unit=" runs", delay=_SILENT_SECONDS, leave=False, ncols=bar_width()
    )
    return bar


def read_run(path: Path, *, predictions: bool = True) -> Run | Problem:
    """Reads and checks one run directory; whatever goes wrong with it is its problem alone.

    Whoever shows something of it asks `is_sealed` first.
    """
    found = guarded(path, lambda: _read(path, _Parts(), predictions=predictions))
    if isinstance(found, Problem) and _OF_TEST.search(found.reason) and is_sealed(path):
        return Problem(path, _DAMAGED)  # what is wrong with a test score says what it is
    return found


def guarded(path: Path, read: Callable[[], Read | Problem]) -> Read | Problem:
    """What a function reads of one run directory; any failure becomes a problem of the directory."""
    try:
        return read()
    except UnreadableFileError as error:
        return Problem(path, str(error)[:_LONGEST_REASON])
    except MemoryError:  # for this one; what was read of the others still has room
        return Problem(path, "cannot be read: it needs more memory than there is")
    except Exception as error:  # noqa: BLE001 - one bad directory must not end the work on all others
        reason = f"cannot be read: {type(error).__name__}: {one_line(error)}"
        return Problem(path, reason[:_LONGEST_REASON])


def _admitted(path: Path, read: Callable[[], Run | Problem], *, trials: bool) -> Run | Problem:
    """A run that may be in a table; asked again afterwards, since it may have finished meanwhile."""
    if closed := _closed(path, trials=trials):
        return closed
    found = read()
    return (isinstance(found, Run) and _closed(path, trials=trials)) or found


def _closed(path: Path, *, trials: bool) -> Problem | None:
    """Why a finished run is in no table, though nothing is wrong with it; None if it may be."""
    if not os.path.lexists(path / rundir.SUMMARY):
        return None
    if is_sealed(path):
        return _sealed(path)
    record = None if trials else tune_of(sweep_of(path))
    if record is None or run_name(path) not in record.left_out_runs:
        return None
    return Problem(path, _TRIAL, harmless=True, fold=_TRIALS)


def _sealed(path: Path) -> Problem:
    summary = read_json(path / rundir.SUMMARY)
    model, setting = (str(summary.get(name))[:_LONGEST_NAME] for name in ("model", "setting"))
    accuracy = number_at(summary, "val.accuracy", 1)
    told = "" if accuracy is None else f"; validation accuracy {percent(accuracy)}"
    reason = f"its race or search has not ended, so its test scores are not shown{told}"
    return Problem(path, reason, harmless=True, sealed=Sealed(model, setting, accuracy))


def _read(path: Path, parts: _Parts, *, predictions: bool) -> Run | Problem:
    if not os.path.lexists(path / rundir.SUMMARY):
        problem = _unfinished(path)
        if not os.path.lexists(path / rundir.SUMMARY):  # else it has finished between the two looks
            return problem
    summary = read_json(path / rundir.SUMMARY)
    config = without_nan(read_json(path / rundir.CONFIG))
    if reason := invalid_summary(summary):
        return Problem(path, reason[:_LONGEST_REASON])
    outcomes = checked_outcomes(path, summary) if predictions else None
    has_predictions = os.path.lexists(path / rundir.PREDICTIONS["test"])
    _keep_names_of_classes(summary, parts)
    config, environment = parts.shared(config), parts.shared(_environment(path))
    return Run(path, summary, config, environment, outcomes, has_predictions)


def _keep_names_of_classes(summary: dict[str, Any], parts: _Parts) -> None:
    """Of the classes' own scores nothing else is needed, and tens of thousands of runs have the same."""
    for split in ("test", "val"):
        scores = summary.get(split)
        classes = scores.get("per_class") if isinstance(scores, dict) else None
        if isinstance(classes, list):
            names = [item.get("label") if isinstance(item, dict) else None for item in classes]
            summary[split]["per_class"] = parts.one([{"label": name} for name in names])


def _environment(path: Path) -> dict[str, Any]:
    try:
        return read_json(path / rundir.ENVIRONMENT)
    except UnreadableFileError:
        return {}


def _unfinished(path: Path) -> Problem:
    if not os.access(path, os.R_OK | os.X_OK):
        return Problem(path, "cannot be read: permission denied")
    if holds_nothing(os.listdir(path)):
        return Problem(path, "died before its first file was written; fix or remove it")
    try:
        found = state_of(path)
    except UnreadableFileError as error:
        return Problem(path, f"{NO_RESULT}; {error}")
    harmless, may_go_on = found.state in HARMLESS, found.state in (INTERRUPTED, LOST)
    if found.state == QUEUED:
        return Problem(path, f"{QUEUED}: not started", harmless, waits=True, fold=_QUEUED)
    if found.state == RUNNING:
        return Problem(path, f"{RUNNING}: step {str(found.step)[:40]}, {found.heartbeat}", harmless)
    if found.reason == NO_RESULT:
        return Problem(path, found.reason)
    told = f"{found.state}: {found.reason}" if found.reason else found.state
    fold = _STOPPED_EARLY if found.state == PRUNED else ""
    return Problem(path, told, harmless, may_go_on, fold=fold)
