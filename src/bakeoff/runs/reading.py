"""Plain files read with distrust. No torch here.

Run directories come from other people, so readers follow no link, open nothing but regular files, and cap
what they read.
"""

import errno
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

from bakeoff.errors import SOME_RUNS_BAD, BakeoffError

MAX_JSON_BYTES = 16 * 2**20
_DEEPEST_JSON = 64
_SECONDS_OF_A_WRITE = 0.01


class UnreadableFileError(BakeoffError):
    """A file that is missing, too large, no regular file, or not what its name says."""

    exit_code = SOME_RUNS_BAD


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Reads a regular file of at most `max_bytes`; follows no link and never waits on a pipe.

    Raises:
        UnreadableFileError: with the reason.
    """
    with opened(path, max_bytes) as (descriptor, size), open(descriptor, "rb", closefd=False) as file:
        return file.read(size)


@contextmanager
def opened(path: Path, max_bytes: int) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a regular file of at most `max_bytes`; follows no link, waits on no pipe.

    Raises:
        UnreadableFileError: with the reason.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else (error.strerror or str(error)).lower()
        raise UnreadableFileError(f"{path.name}: {reason}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFileError(f"{path.name}: not a regular file")
        if status.st_size > max_bytes:
            raise UnreadableFileError(f"{path.name}: {status.st_size} bytes, more than {max_bytes}")
        yield descriptor, status.st_size
    except OSError as error:
        raise UnreadableFileError(f"{path.name}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)


def read_tail(path: Path, max_bytes: int) -> bytes:
    """The end of a regular file of any size; follows no link and never waits on a pipe.

    Raises:
        UnreadableFileError: with the reason.
    """
    with opened(path, sys.maxsize) as (descriptor, size):
        return os.pread(descriptor, max_bytes, max(0, size - max_bytes))


def open_regular(path: Path) -> BufferedReader:
    """Opens a file of the user's to read: of any size, by links too, but never waits on a pipe.

    Raises:
        OSError: it cannot be opened, or is no regular file; `strerror` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return open(descriptor, "rb")


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file of any size; an error is the caller's to explain."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES, attempts: int = 1) -> dict[str, Any]:
    """Reads a JSON object; refuses NaN, doubled keys, and nesting that Python cannot follow.

    Args:
        path: the file.
        max_bytes: a larger file is not read.
        attempts: 2 for a file that is written in place, of which half may be met.

    Raises:
        UnreadableFileError: with the reason.
    """
    try:
        return _read_json(path, max_bytes)
    except UnreadableFileError:
        if attempts == 1 or not path.exists():
            raise
    time.sleep(_SECONDS_OF_A_WRITE)
    return _read_json(path, max_bytes)


def _read_json(path: Path, max_bytes: int) -> dict[str, Any]:
    content = read_bytes(path, max_bytes)
    try:
        value = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnreadableFileError(f"{path.name}: no valid JSON: {reason[:200]}") from error
    if not isinstance(value, dict):
        raise UnreadableFileError(f"{path.name}: holds no JSON object")
    num_brackets = content.count(b"{") + content.count(b"[")  # spares most files the walk
    if num_brackets > _DEEPEST_JSON and _is_deeper(value, _DEEPEST_JSON):
        raise UnreadableFileError(f"{path.name}: no valid JSON: nested too deeply")
    return value


def _is_deeper(value: Any, limit: int) -> bool:
    """Whether containers nest deeper than a limit, so that no walker of the value runs out of stack."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Tens of thousands of files have the same keys: each is kept in memory once.
    values = {sys.intern(key): value for key, value in pairs}
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def moment(text: Any) -> datetime | None:
    """A time that a file gives; None if it is none, has no time zone, or no clock of here can show it."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found if found and found.tzinfo and found.astimezone() else None
    except (ValueError, OverflowError, OSError):
        return None
