"""The starts of a run: which process works on it, and whether one still does. No torch here.

    attempts/0001/attempt.json    host, pid, the process's start time, and what the run must stay

Each start or resume makes the next folder with its record in it, by the rename of a folder that it filled.
That fails where another one has the name, so of two at one instant one gets it. (After a `mkdir` a process
could be killed before it has written who it is.)
Whoever finds a newer attempt than its own has lost the run and writes nothing more.
"""

import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.errors import ResourceError, ResumeError
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.runs.liveness import is_alive, process_start
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.records import RunPart
from bakeoff.runs.rundir import LAST_WEIGHTS, PLOTS, STATUS
from bakeoff.runs.storage import (
    folder_being_made,
    make_folder,
    remove_leftovers,
    storage_errors,
    sync_folder,
    write_json,
)

FOLDER = "attempts"
_RECORD = "attempt.json"
_NAME = re.compile(r"\d{4,9}")
_HALF = re.compile(r"\.\d{4,9}\.\d+\.tmp")
_SECONDS_TO_APPEAR = 60.0  # for a new folder's record, where other machines see it later than the folder
_UNKNOWN = "another process goes on with it, since a moment ago"


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
        raise _taken(run, owner)
    return last


def _taken(run: Path, owner: str) -> ResumeError:
    return ResumeError(f"{run}: {owner}; stop it first, or wait until it has finished")


def begin(run: Path, facts: Mapping[str, Any], after: int | None = None) -> Attempt:
    """Claims a run for this process.

    Args:
        run: the run directory.
        facts: what else to record of it, plain.
        after: the newest attempt when the run was looked at; None: whatever it is now.

    Raises:
        ResumeError: a process works on it, or another one was faster.
        ResourceError: nothing can be written there.
    """
    last = check_free(run)
    if after is not None and last != after:
        raise ResumeError(f"{run}: another process has gone on with it a moment ago; resume it again")
    # The number that was checked, not the newest: somebody else may have taken the next one since.
    attempt = Attempt(run, last + 1)
    folder = run / FOLDER / f"{attempt.number:04d}"
    own = os.getpid()
    record = {
        "host": socket.gethostname(),
        "pid": own,
        "process_started": process_start(own),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    make_folder(folder.parent)
    making = folder.with_name(f".{folder.name}.{own}.tmp")
    try:
        with storage_errors(folder):
            shutil.rmtree(making, ignore_errors=True)
            with folder_being_made(making):
                write_json(making / _RECORD, record)
                making.rename(folder)
            sync_folder(folder.parent)
    except ResourceError:
        shutil.rmtree(making, ignore_errors=True)
        if folder.exists() and not _is_from(run, attempt.number, own):  # it removes the half claims of others
            raise _taken(run, _owner(run, attempt.number) or _UNKNOWN) from None
        raise
    _remove_half_files(run)
    return attempt


def clear_finished(run: Path) -> None:
    """Removes what a process that was killed at the end of a run has left: half files, and checkpoints."""
    with suppress(ResumeError):
        check_free(run)
        _remove_half_files(run)
        Checkpoints(run, keep=1).remove()
        with suppress(OSError):
            (run / LAST_WEIGHTS).unlink(missing_ok=True)


def _remove_half_files(run: Path) -> None:
    for place in (run, run / PLOTS, *(run / FOLDER / f"{number:04d}" for number in _numbers(run))):
        remove_leftovers(place)
    with suppress(OSError), os.scandir(run / FOLDER) as entries:
        for entry in entries:
            if _HALF.fullmatch(entry.name):
                shutil.rmtree(entry.path, ignore_errors=True)


def records(run: Path) -> list[dict[str, Any]]:
    """What the attempts of a run have written, in their order; one that cannot be read is left out."""
    found = []
    for number in sorted(_numbers(run)):
        with suppress(UnreadableFileError):
            found.append(_record(run, number))
    return found


def history(run: Path) -> list[dict[str, Any]]:
    """What `parts` asks of each attempt; first those of the run that this one goes on from, if it does."""
    found = records(run)
    before = found[0].get("before") if found else None
    earlier = [record for record in before if isinstance(record, dict)] if isinstance(before, list) else []
    names = [field.name for field in fields(RunPart)]
    return [{name: record.get(name) for name in names} for record in (*earlier, *found)]


def parts(run: Path) -> list[RunPart]:
    """The stretches of a run's work; one that was lost, because no checkpoint came of it, is left out."""
    try:
        found = history(run)
    except ResumeError:  # somebody has put something in the folder's place, and the result is worth more
        return []
    kept = [
        record
        for record, later in zip(found, [*found[1:], None], strict=True)
        if later is None or later.get("seconds_before") != record.get("seconds_before")
    ]
    return [RunPart(**record) for record in kept if None not in record.values()]


def _numbers(run: Path) -> list[int]:
    """Of whatever has an attempt's name, files and links too: a new one must have another."""
    folder = run / FOLDER
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise ResumeError(f"{folder}: a link or a file has the folder's name")
        with os.scandir(folder) as entries:
            return [int(entry.name) for entry in entries if _NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResumeError(f"{folder}: cannot be read ({error.strerror})") from error


def _record(run: Path, number: int) -> dict[str, Any]:
    """What an attempt has written.

    Raises:
        UnreadableFileError: nothing, or not in a folder of its own.
    """
    folder = run / FOLDER / f"{number:04d}"
    if folder.is_symlink():
        raise UnreadableFileError(f"{folder.name}: is a link")
    return read_json(folder / _RECORD)


def _is_from(run: Path, number: int, pid: int) -> bool:
    with suppress(UnreadableFileError):
        record = _record(run, number)
        return (record.get("host"), record.get("pid")) == (socket.gethostname(), pid)
    return False


def _owner(run: Path, number: int) -> str:
    """Who works on a run, in words; an empty text if nobody does."""
    folder = run / FOLDER / f"{number:04d}"
    try:
        record = _record(run, number)
    except UnreadableFileError:
        return _UNKNOWN if _is_new(folder) else ""
    with suppress(UnreadableFileError):  # of another host only the heartbeat tells
        status = read_json(run / STATUS, attempts=2)
        record["heartbeat"] = status.get("heartbeat")
        own = all(status.get(name) == record.get(name) for name in ("host", "pid", "process_started"))
        if own and status.get("status") != "running":
            return ""  # its process lives, and has done with this run
    # Until its first heartbeat the status is that of the part before.
    if not is_alive(record) and not is_alive({**record, "heartbeat": record.get("started")}):
        return ""
    return (
        f"it is running on {record.get('host')} (process {record.get('pid')}) since {record.get('started')}"
    )


def _is_new(folder: Path) -> bool:
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and abs(time.time() - status.st_mtime) < _SECONDS_TO_APPEAR
