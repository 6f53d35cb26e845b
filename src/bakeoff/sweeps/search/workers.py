"""Several processes on one search: a short lock around what must not be done by two at once, and a ledger
that each of them writes its own part of. No torch here.

Who works on it the ledger says. A trial belongs to a worker by its token, a random word: once its process is
gone, the trial is given to another one.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.runs.liveness import is_alive
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.storage import storage_errors
from bakeoff.sweeps.ledger import Ledger, own_record, read_ledger

LOCK, CONFIRM_LOCK = ".study.lock", ".confirm.lock"
_SECONDS_BETWEEN_TRIES = 0.01


class FolderLock:
    """The kernel's lock on a file: nothing is left of it when its process is killed.

    It may be taken within itself. Where a file system has no locks there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._depth, self._descriptor = path, 0, -1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Waits for it, and holds it for the block."""
        while not self.try_to_hold():
            time.sleep(_SECONDS_BETWEEN_TRIES)
        try:
            yield
        finally:
            self.let_go()

    def try_to_hold(self) -> bool:
        """Whether it is this process's now; then `let_go` has to be called."""
        if self._depth == 0:
            with storage_errors(self._path):
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                descriptor = os.open(self._path, flags, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                pass  # no locks here
            self._descriptor = descriptor
        self._depth += 1
        return True

    def let_go(self) -> None:
        """Once for each time that it was taken."""
        self._depth -= 1
        if self._depth == 0:
            os.close(self._descriptor)


@dataclass
class SharedLedger(Ledger):
    """The ledger of a search. Writing it keeps what other processes have written of their own runs."""

    lock: FolderLock = field(default_factory=lambda: FolderLock(Path()))
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    mine: set[str] = field(default_factory=set)  # folders of the runs that this process works or worked on

    def write(self, *, owned: bool) -> None:
        """Stores what this process knows of its own runs, and what others have written.

        Raises:
            ResourceError: it cannot be written.
        """
        with self.lock.held():
            others = self.refresh()
            before = self.parent if self.parent and self.parent.get("token") == self.token else None
            own = {**own_record(before), "token": self.token} if owned else None
            self.workers = [*others, own] if own else others
            self.parent = own or next(iter(others), None)
            self._store()

    def refresh(self) -> list[dict[str, object]]:
        """Reads what others have written; gives those of them that live."""
        with self.lock.held(), suppress(UnreadableFileError):
            stored = read_ledger(self.folder)
            for folder, entry in stored.entries.items():
                if folder not in self.mine:
                    self.entries[folder] = entry
            for folder in self.entries.keys() - stored.entries.keys() - self.mine:
                del self.entries[folder]
            return [one for one in stored.workers if one.get("token") != self.token and is_alive(one)]
        return []

    def forget(self, folder: str) -> None:
        """Takes a run out that is no longer of the search; its directory stays."""
        self.mine.add(folder)
        self.entries.pop(folder, None)

    def living_tokens(self) -> set[str]:
        """Of all processes that work on it, this one among them."""
        return {self.token, *(str(one.get("token")) for one in self.refresh())}


def open_ledger(ledger: Ledger, lock: FolderLock) -> SharedLedger:
    """The same ledger, for one of several processes."""
    return SharedLedger(
        ledger.folder,
        ledger.line,
        ledger.created,
        ledger.entries,
        ledger.options,
        ledger.jobs_at_once,
        ledger.threads_per_job,
        ledger.command,
        lock=lock,
    )
