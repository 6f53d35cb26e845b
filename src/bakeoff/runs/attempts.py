"""The starts of a run: which process works on it, and whether one still does. No torch here.

    attempts/0001/attempt.json    host, pid, the process's start time, and what the run must stay

Each start or resume makes the next folder by an exclusive `mkdir`, so of two at one instant one gets it.
Whoever finds a newer attempt than its own has lost the run and writes nothing more.
"""

import os
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.errors import ResumeError
from bakeoff.runs.liveness import is_alive, process_start
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.records import RunPart
from bakeoff.runs.rundir import STATUS
from bakeoff.runs.storage import storage_errors, sync_folder, write_json

FOLDER = "attempts"
_RECORD = "attempt.json"
_NAME = re.compile(r"\d{4,}")
_SECONDS_TO_START = 60.0  # within which a new folder gets its record


@dataclass(frozen=True)
class Attempt:
    """One start of a run."""

    run: Path
    number: int

    def is_newest(self) -> bool:
        """Whether no other process has taken the run over."""
        return not (self.run / FOLDER / f"{self.number + 1:04d}").exists()


def check_free(run: Path) -> int:
    """Whether a process works on a run.

    Returns:
        The number of the newest attempt, 0 without any.

    Raises:
        ResumeError: says who, where and since when.
    """
    last = max(_numbers(run), default=0)
    if last and (owner := _owner(run, last)):
        raise ResumeError(f"{run}: {owner}; stop it first, or wait until it has finished")
    return last


def begin(run: Path, facts: Mapping[str, Any]) -> Attempt:
    """Claims a run for this process.

    Args:
        run: the run directory.
        facts: what else to record of it, plain.

    Raises:
        ResumeError: a process works on it, or another one was faster.
        ResourceError: nothing can be written there.
    """
    # The number that was checked, not the newest: somebody else may have taken the next one since.
    attempt = Attempt(run, check_free(run) + 1)
    folder = run / FOLDER / f"{attempt.number:04d}"
    with storage_errors(folder):
        folder.parent.mkdir(exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            raise ResumeError(f"{run}: another process goes on with it, since a moment ago") from None
        sync_folder(folder.parent)
    own = os.getpid()
    record = {
        "host": socket.gethostname(),
        "pid": own,
        "process_started": process_start(own),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    write_json(folder / _RECORD, record)
    return attempt


def records(run: Path) -> list[dict[str, Any]]:
    """What the attempts of a run have written, in their order; one that cannot be read is left out."""
    found = []
    for number in sorted(_numbers(run)):
        with suppress(UnreadableFileError):
            found.append(read_json(run / FOLDER / f"{number:04d}" / _RECORD))
    return found


def parts(run: Path) -> list[RunPart]:
    """The stretches of a run's work; one that was lost, because no checkpoint came of it, is left out."""
    found = records(run)
    kept = [
        record
        for record, later in zip(found, [*found[1:], None], strict=True)
        if later is None or later.get("seconds_before") != record.get("seconds_before")
    ]
    names = [field.name for field in fields(RunPart)]
    return [RunPart(**{name: record[name] for name in names}) for record in kept if record.keys() >= {*names}]


def _numbers(run: Path) -> list[int]:
    try:
        return [int(entry.name) for entry in os.scandir(run / FOLDER) if _NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return []


def _owner(run: Path, number: int) -> str:
    """Who works on a run, in words; an empty text if nobody does."""
    folder = run / FOLDER / f"{number:04d}"
    try:
        record = read_json(folder / _RECORD)
    except UnreadableFileError:
        # Its process has made the folder and not written yet, or died in between.
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < _SECONDS_TO_START:
                return "another process goes on with it, since a moment ago"
        return ""
    with suppress(UnreadableFileError):  # of another host only the heartbeat tells
        status = read_json(run / STATUS, attempts=2)
        record["heartbeat"] = status.get("heartbeat")
        own = all(status.get(name) == record.get(name) for name in ("host", "pid", "process_started"))
        if own and status.get("status") != "running":
            return ""  # its process lives, and has done with this run
    if not is_alive(record):
        return ""
    return f"it runs on {record.get('host')} (process {record.get('pid')}) since {record.get('started')}"
