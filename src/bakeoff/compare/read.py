"""Run directories -> checked runs, and a reason for every directory that is none.

Runs come from other people and older versions: nothing is resolved, executed or unpickled, and a
value out of its range never enters a mean. No torch here.
"""

import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff import metrics, rundir
from bakeoff.records import SCHEMA
from bakeoff.storage import UnreadableFileError, read_json, without_nan

# Largest difference between summary.json and what its predictions.npz gives.
_TOLERANCE = {"accuracy": 1e-6, "macro_f1": 1e-6, "nll": 1e-4}
_ROW_SUM_TOLERANCE = 1e-5
_LONGEST_REASON = 300  # characters
# A run on another host whose status is older than this is lost; on this host the process is asked.
_LOST_AFTER_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """A finished run whose figures hold."""

    path: Path
    summary: dict[str, Any]
    config: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A run directory that is not in the table, and why."""

    path: Path
    reason: str
    harmless: bool = False  # running, queued, or there twice: no reason for exit code 7


def read_runs(paths: Iterable[Path]) -> tuple[list[Run], list[Problem]]:
    """Reads run directories; of several runs of one identity the first finished one counts."""
    runs: list[Run] = []
    problems: list[Problem] = []
    for path in paths:
        result = read_run(path)
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


def read_run(path: Path) -> Run | Problem:
    """Reads and checks one run directory."""
    if not os.path.lexists(path / rundir.SUMMARY):
        return _unfinished(path)
    try:
        summary = read_json(path / rundir.SUMMARY)
        config = without_nan(read_json(path / rundir.CONFIG))
        reason = _invalid_summary(summary) or _disagreement(path, summary)
    except UnreadableFileError as error:
        reason = str(error)
    return Problem(path, reason[:_LONGEST_REASON]) if reason else Run(path, summary, config)


def is_number(value: Any, low: float = 0.0, high: float = sys.float_info.max) -> bool:
    """Whether a value is a plain, finite number within bounds; `True` and "0.99" are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _invalid_summary(summary: dict[str, Any]) -> str | None:
    schema = summary.get("schema")
    if type(schema) is not int or schema < 1:  # True is an int as well
        return f"summary.json: schema={schema!r} is no version number"
    if schema > SCHEMA:
        return f"summary.json: written by a newer bakeoff (schema {schema}, known is {SCHEMA})"
    test = summary.get("test")
    if not isinstance(test, dict):
        return "summary.json: no test scores"
    for name in ("setting", "model", "data"):
        if not isinstance(summary.get(name), str):
            return f"summary.json: {name}={summary.get(name)!r} is no text"
    if not isinstance(summary.get("seed"), int) or isinstance(summary["seed"], bool):
        return f"summary.json: seed={summary.get('seed')!r} is no whole number"
    for name, high in (("accuracy", 1.0), ("macro_f1", 1.0), ("nll", sys.float_info.max)):
        if not is_number(test.get(name), 0.0, high):
            allowed = "a number in 0..1" if high == 1.0 else "a number of at least 0"
            return f"summary.json: test.{name}={test.get(name)!r} is not {allowed}"
    if not isinstance(test.get("num_images"), int) or not is_number(test["num_images"], 1):
        return f"summary.json: test.num_images={test.get('num_images')!r} is no positive whole number"
    if not is_number(test.get("num_no_answer", 0)):
        return f"summary.json: test.num_no_answer={test['num_no_answer']!r} is no whole number"
    for section, name in (("time", "train_seconds"), ("cost", "parameters")):
        values = summary.get(section)
        if isinstance(values, dict) and values.get(name) is not None and not is_number(values[name]):
            return f"summary.json: {section}.{name}={values[name]!r} is not a number of at least 0"
    return None


def _disagreement(path: Path, summary: dict[str, Any]) -> str | None:
    """Holds the scores against the stored predictions they were computed from, if there are any."""
    import numpy as np

    if not os.path.lexists(path / rundir.PREDICTIONS["test"]):
        return None
    arrays = rundir.read_predictions(path, "test")
    index, labels, rows = arrays["index"], arrays["label"], arrays["probabilities"]
    name, test = rundir.PREDICTIONS["test"], summary["test"]
    count = test["num_images"]
    if index.shape != (count,) or labels.shape != (count,) or rows.ndim != 2 or len(rows) != count:
        return f"{name}: not {count} rows, as summary.json says"
    if index.dtype.kind != "i" or labels.dtype.kind != "i" or rows.dtype.kind != "f":
        return f"{name}: arrays of the wrong kind"
    if not np.array_equal(np.sort(index), np.arange(count)):
        return f"{name}: index is no permutation of 0..{count - 1}"
    if labels.min() < 0 or labels.max() >= rows.shape[1]:
        return f"{name}: a label outside 0..{rows.shape[1] - 1}"
    if not np.isfinite(rows).all() or rows.min() < 0 or rows.sum(axis=1).max() > 1 + _ROW_SUM_TOLERANCE:
        return f"{name}: rows that are no probabilities"
    scores = metrics.score(labels, rows, [""] * rows.shape[1])
    for key, tolerance in _TOLERANCE.items():
        found = getattr(scores, key)
        if abs(found - test[key]) > tolerance:
            return f"summary.json: test.{key}={test[key]}, but {name} gives {found:.6f}"
    unanswered = test.get("num_no_answer", scores.num_no_answer)
    if unanswered != scores.num_no_answer:
        return f"summary.json: test.num_no_answer={unanswered}, but {name} gives {scores.num_no_answer}"
    return None


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
