"""`sweep.json`: the runs that a sweep should have, and how far each was when last looked at. No torch here.

The directories say what is; the ledger says what should be, so that a run that never began is missed.
"""

import os
import shlex
import socket
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.config.schema import MOST_JOBS, SweepConfig
from bakeoff.config.strict import parse_section
from bakeoff.errors import ConfigError
from bakeoff.runs.folders import LEDGER
from bakeoff.runs.liveness import is_alive, process_start
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.states import QUEUED
from bakeoff.runs.storage import write_json

CANCEL = ".cancel"  # a file of this name asks the process that works on the sweep to stop
SCHEMA = 1
COMMANDS = ("train", "race", "tune")  # that work on a sweep
_COUNTS = ("jobs_at_once", "threads_per_job")


@dataclass(frozen=True)
class Entry:
    """One run that the sweep should have."""

    folder: str  # below the sweep's
    identity: str
    setting: str
    shown: str  # what the command line says of it alone
    model: str
    data: str
    seed: int
    state: str = QUEUED  # see `runs/states.py`
    reason: str | None = None
    started: str | None = None  # ISO 8601, UTC; of its last start by this sweep
    ended: str | None = None


@dataclass
class Ledger:
    """All of them, in the order of the command line, and who works on them."""

    folder: Path
    line: list[str]  # the overrides as typed, without those of `sweep.*`
    created: str  # ISO 8601, UTC
    entries: dict[str, Entry] = field(default_factory=dict)  # by folder
    options: SweepConfig = field(default_factory=SweepConfig)
    jobs_at_once: int = 1
    threads_per_job: int = 1
    command: str = COMMANDS[0]
    parent: dict[str, Any] | None = None  # host, pid, process_started, heartbeat, started; None: nobody
    # All that work on it, where several may (`bakeoff tune`): records as `parent`, which is one of them.
    workers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The sweep's."""
        return self.folder.name

    def run(self, entry: Entry) -> Path:
        """The directory of a run."""
        return self.folder / entry.folder

    def set(self, folder: str, **changes: Any) -> None:
        """Notes something of one run; `write` stores it."""
        self.entries[folder] = replace(self.entries[folder], **changes)

    def add(self, entries: Iterable[Entry]) -> None:
        """Runs that it should have; of those that are known, state and times are kept."""
        for entry in entries:
            known = self.entries.get(entry.folder)
            kept = ("state", "reason", "started", "ended") if known else ()
            self.entries[entry.folder] = replace(entry, **{name: getattr(known, name) for name in kept})

    def write(self, *, owned: bool) -> None:
        """Stores all of it; `owned`: with this process as the one that works on it.

        Raises:
            ResourceError: it cannot be written.
        """
        self.parent = own_record(self.parent) if owned else None
        self._store()

    def _store(self) -> None:
        workers = {"workers": self.workers} if self.workers else {}
        write_json(
            self.folder / LEDGER,
            {
                "schema": SCHEMA,
                "name": self.name,
                "command": self.command,
                "line": self.line,
                "created": self.created,
                "parent": self.parent,
                **workers,
                "options": asdict(self.options),
                "jobs_at_once": self.jobs_at_once,
                "threads_per_job": self.threads_per_job,
                "jobs": [asdict(entry) for entry in self.entries.values()],
            },
        )

    @property
    def living(self) -> list[dict[str, Any]]:
        """The processes that work on it: those that wrote so, live and have not done with it."""
        known = self.workers or ([self.parent] if self.parent is not None else [])
        return [worker for worker in known if is_alive(worker)]

    @property
    def is_worked_on(self) -> bool:
        """Whether a process works on it."""
        return bool(self.living)


def own_record(before: dict[str, Any] | None) -> dict[str, Any]:
    """Who this process is, and that it lives now; since when it works on the sweep is kept."""
    own = os.getpid()
    was_own = before is not None and before.get("pid") == own and before.get("host") == socket.gethostname()
    return {
        "host": socket.gethostname(),
        "pid": own,
        "process_started": process_start(own),
        "heartbeat": now(),
        "started": before.get("started") if before is not None and was_own else now(),
    }


def now() -> str:
    """ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def begun(folder: Path, line: Sequence[str], command: str = COMMANDS[0]) -> Ledger:
    """The ledger of a sweep: what is there, or a new one, with the command line of now.

    One that cannot be read is replaced: which runs there are and how far, the directories say.

    Raises:
        ConfigError: another command works on this sweep.
    """
    try:
        ledger = read_ledger(folder)
    except UnreadableFileError:
        return Ledger(folder, list(line), now(), command=command)
    if ledger.entries and ledger.command != command:
        raise ConfigError(f"{folder}: a sweep of bakeoff {ledger.command}; give another sweep.name")
    ledger.command, ledger.line = command, list(line)
    return ledger


def command_of(ledger: Ledger, *words: str) -> str:
    """The command that works on a sweep, as it was typed, with some more words."""
    options = ["--multirun"] if ledger.command == COMMANDS[0] else []
    return shlex.join(["bakeoff", ledger.command, *options, *words, *ledger.line])


def read_ledger(folder: Path) -> Ledger:
    """Reads a sweep's.

    Raises:
        UnreadableFileError: there is none, or it is none.
    """
    values = read_json(folder / LEDGER, attempts=2)
    kinds = {"line": list, "created": str, "jobs": list, **dict.fromkeys(_COUNTS, int)}
    if any(not isinstance(values.get(name), kind) for name, kind in kinds.items()):
        raise UnreadableFileError(f"{LEDGER}: not one of this version")
    if any(type(values[name]) is not int or not 0 < values[name] <= MOST_JOBS for name in _COUNTS):
        raise UnreadableFileError(f"{LEDGER}: {' and '.join(_COUNTS)} must be from 1 to {MOST_JOBS:,}")
    command = values.get("command", COMMANDS[0])  # older ones did not say
    if command not in COMMANDS:
        raise UnreadableFileError(f"{LEDGER}: its command must be one of {', '.join(COMMANDS)}")
    parent, workers = values.get("parent"), values.get("workers")
    try:
        options = parse_section(SweepConfig, values.get("options"), "options")
    except ConfigError as error:
        raise UnreadableFileError(f"{LEDGER}: {error}") from error
    ledger = Ledger(
        folder,
        [str(word) for word in values["line"]],
        values["created"],
        options=options,
        jobs_at_once=values["jobs_at_once"],
        threads_per_job=values["threads_per_job"],
        command=command,
        parent=parent if isinstance(parent, dict) else None,
        workers=[one for one in workers if isinstance(one, dict)] if isinstance(workers, list) else [],
    )
    ledger.add(_entry(job) for job in values["jobs"])
    return ledger


def is_worked_on(folder: Path) -> bool:
    """Whether a process works on the sweep of a folder; not if there is none, or it cannot be read."""
    try:
        return read_ledger(folder).is_worked_on
    except UnreadableFileError:
        return False


def _entry(job: Any) -> Entry:
    known = {each.name for each in fields(Entry)}
    texts = ("folder", "identity", "setting", "shown", "model", "data", "state")
    if (
        not isinstance(job, dict)
        or any(not isinstance(job.get(name), str) for name in texts)
        or type(job.get("seed")) is not int
        or any(not isinstance(job.get(name), str | None) for name in ("reason", "started", "ended"))
    ):
        raise UnreadableFileError(f"{LEDGER}: a job without its fields")
    name = job["folder"]
    # What cannot be printed, as a null or half of a character, no system call takes either.
    if Path(name).name != name or name in ("", "..") or not name.isprintable():
        raise UnreadableFileError(f"{LEDGER}: a job outside of the sweep's folder")
    return Entry(**{name: job[name] for name in known & job.keys()})
