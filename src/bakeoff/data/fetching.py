"""One file from an address: of a size and in a time that can be, and whole or not at all.

torchvision's own function has no limit of size or time, and writes its bar into pipes.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import bar_width

CONNECT_SECONDS = 5.0  # also the longest silence of a server
_SLOWEST_BYTES_PER_SECOND = 50_000  # of the largest file that it may be
_SHORTEST_DEADLINE_SECONDS = 120.0
_BLOCK_BYTES = 2**16
_SECONDS_BETWEEN_LOOKS = 0.05  # at a signal, and the deadline
_SIDE_PREFIX = ".bakeoff-download-"


def fetch_file(url: str, path: Path, *, algorithm: str, digest: str, most_bytes: int) -> None:
    """Brings a file, with a bar on a terminal.

    Args:
        url: where it is.
        path: where it goes, in a side folder; a file that failed stays there.
        algorithm: of hashlib.
        digest: how the hash begins, in hex; "" if none is known.
        most_bytes: no file that is asked for is larger.

    Raises:
        OSError, RuntimeError, http.client.HTTPException: it cannot be had, is too large or slow, or another.
        InterruptedRunError: a signal came.
    """
    seconds = max(_SHORTEST_DEADLINE_SECONDS, most_bytes / _SLOWEST_BYTES_PER_SECOND)
    found = _within(seconds, path.name, lambda is_late: _receive(url, path, algorithm, most_bytes, is_late))
    if not found.startswith(digest):
        raise RuntimeError(f"{path.name} has another {algorithm.upper()} than {digest}")


def _within(seconds: float, name: str, receive: Callable[[threading.Event], str]) -> str:
    """Runs `receive` in a thread: a server that sends a byte now and then keeps a socket waiting for ever."""
    is_late, ended = threading.Event(), threading.Event()
    results: list[str] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(receive(is_late))
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            errors.append(error)
        finally:
            ended.set()

    ends = time.monotonic() + seconds
    threading.Thread(target=work, daemon=True).start()
    try:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            check_stop()
            if time.monotonic() > ends:
                raise RuntimeError(f"{name} did not come within {seconds:,.0f} s")
    finally:
        is_late.set()
    if errors:
        raise errors.pop()
    return results[0]


def _receive(url: str, path: Path, algorithm: str, most_bytes: int, is_late: threading.Event) -> str:
    """Brings a file; returns its hash (hex)."""
    found, count = hashlib.new(algorithm, usedforsecurity=False), 0
    request = urllib.request.Request(url, headers={"User-Agent": "bakeoff"})  # noqa: S310 - of torchvision
    with (
        urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as answer,  # noqa: S310
        open(path, "wb") as file,
        tqdm(
            total=answer.length,
            desc=path.name,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,
            ncols=bar_width(),
        ) as bar,
    ):
        announced = answer.length
        while not is_late.is_set() and (block := answer.read1(_BLOCK_BYTES)):
            count += len(block)
            if count > most_bytes:
                raise RuntimeError(f"{path.name} is larger than {most_bytes:,} bytes: not what was asked for")
            found.update(block)
            file.write(block)
            bar.update(len(block))
    if announced is not None and count != announced:
        raise RuntimeError(f"{path.name} was cut after {count:,} of {announced:,} bytes")
    return found.hexdigest()


@contextmanager
def side_folder(beside: Path) -> Iterator[Path]:
    """A folder for what is not whole yet, in `beside`; removed at the end, or by the next one after a kill.

    Raises:
        OSError: it cannot be made.
    """
    _remove_abandoned(beside)
    side = Path(tempfile.mkdtemp(prefix=_SIDE_PREFIX, dir=beside))
    descriptor = os.open(side, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # as long as this process lives
        yield side
    finally:
        shutil.rmtree(side, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(beside: Path) -> None:
    for side in beside.glob(f"{_SIDE_PREFIX}*"):
        try:
            descriptor = os.open(side, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(side, ignore_errors=True)
        except OSError:
            pass  # its process lives
        finally:
            os.close(descriptor)
