"""One process works on a sweep at a time; another one is told who. No torch here.

The lock is the kernel's, so that nothing of it is left when its process is killed. Where a file system has no
locks, and between machines, the ledger's word counts.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.runs.reading import UnreadableFileError, moment
from bakeoff.runs.storage import storage_errors
from bakeoff.sweeps.ledger import read_ledger
from bakeoff.sweeps.locate import word_for

LOCK = ".lock"


@contextmanager
def owned(sweep: Path, *, shared: bool = False) -> Iterator[None]:
    """Makes a sweep this process's for the block; its folder is made if it is not there.

    Args:
        sweep: its folder.
        shared: whether others that ask for this, too, may work on it at the same time.

    Raises:
        ConfigError: another process works on it.
        ResourceError: the folder cannot be made.
    """
    with storage_errors(sweep):
        sweep.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(sweep / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken(sweep) from None
        except OSError:
            pass  # no locks here
        with suppress(UnreadableFileError):  # there is none, or what stands there is nobody's
            ledger = read_ledger(sweep)
            others = [worker for worker in ledger.living if worker.get("pid") != os.getpid()]
            if others and not (shared and ledger.workers):
                raise taken(sweep)
        yield
    finally:
        os.close(descriptor)


def taken(sweep: Path) -> ConfigError:
    """Says who works on a sweep, since when by this machine's clock, and what can be done."""
    who = "another process works on it"
    with suppress(UnreadableFileError):
        parent = next(iter(read_ledger(sweep).living), {})
        if "pid" in parent:
            began = moment(parent.get("started"))
            since = f"{began.astimezone():%Y-%m-%d %H:%M}" if began else "an unknown time"
            who = f"it runs on {parent.get('host')} (process {parent['pid']}) since {since}"
    return ConfigError(
        f"{sweep}: {who}; follow it with bakeoff watch {word_for(sweep)}, "
        "or start another one with sweep.name=new"
    )
