"""Plain files, written whole and read with distrust. No torch here.

A file appears under its name complete or not at all: temporary file in the same folder, flush,
fsync, rename over, fsync of the folder. Readers take run directories from other people, so they
follow no link, open nothing but regular files, and cap what they read.
"""

import errno
import hashlib
import json
import math
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from bakeoff.errors import SOME_RUNS_BAD, BakeoffError, ResourceError

MAX_JSON_BYTES = 16 * 2**20
_DEEPEST_JSON = 64
_SECONDS_OF_A_WRITE = 0.01
_TEMPORARIES: set[Path] = set()  # of this process, now
_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UnreadableFileError(BakeoffError):
    """A file that is missing, too large, no regular file, or not what its name says."""

    exit_code = SOME_RUNS_BAD


@contextmanager
def storage_errors(path: Path, other: str = "output_dir") -> Iterator[None]:
    """Turns a failed write into exit code 4 with the file's name; `other` names what to choose anew.

    Raises:
        ResourceError: no room, no permission, a file where a folder should be.
    """
    try:
        yield
    except OSError as error:
        todo = "make room" if error.errno in _OUT_OF_ROOM else f"choose another {other}"
        raise ResourceError(f"{path}: cannot write: {error.strerror or error}; {todo}") from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object], other: str = "output_dir") -> None:
    """Calls `write` with an open temporary file, then puts it in place of `path`.

    Raises:
        ResourceError: the file cannot be written; what stood under `path` is untouched.
    """
    with _replacing(path, other) as temporary, open(temporary, "xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def write_by_name_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """The same for a library that wants a name, and may put a file of its own in the temporary one's place.

    Raises:
        ResourceError: the file cannot be written; what stood under `path` is untouched.
    """
    with _replacing(path) as temporary:
        # Made here first, so that it has the mode that the user's umask gives.
        with open(temporary, "xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        write(temporary)
        with open(temporary, "rb") as file:
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())


@contextmanager
def _replacing(path: Path, other: str = "output_dir") -> Iterator[Path]:
    """A temporary name beside `path`; what stands under it after the block takes the place of `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    _TEMPORARIES.add(temporary)
    with storage_errors(path, other):
        try:
            yield temporary
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            _TEMPORARIES.discard(temporary)
        sync_folder(path.parent)


def remove_temporaries() -> None:
    """For a process that ends this moment: of the files that are being written nothing stays."""
    for temporary in list(_TEMPORARIES):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes a rename or a new file in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, text: str) -> None:
    """Appends a line and waits until it is on the disk.

    Raises:
        ResourceError: the line cannot be written.
    """
    with storage_errors(path), open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def without_nan(value: Any) -> Any:
    """Replaces NaN and infinities by None: JSON has neither."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Writes plain data as indented JSON.

    Raises:
        ResourceError: the file cannot be written.
    """
    content = _json_bytes(value)
    write_atomically(path, lambda file: file.write(content))


def _json_bytes(value: Any) -> bytes:
    text = json.dumps(without_nan(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    # A path that is no UTF-8 holds lone surrogates; their escapes are JSON's own.
    return text.encode("utf-8", "backslashreplace")


def write_json_in_place(path: Path, value: Any) -> None:
    """Writes a small JSON over the old one, in the block that the file has: that needs no room on the disk.

    A reader may meet half of it (once in 40,000 reads beside a writer that never rests), and reads again.

    Raises:
        ResourceError: the file cannot be written.
    """
    content = _json_bytes(value)
    with storage_errors(path):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return write_atomically(path, lambda file: file.write(content))
        try:
            # Spaces over the rest of a longer one, so that there is a single write and nothing to cut off.
            os.pwrite(descriptor, content.rstrip().ljust(os.fstat(descriptor).st_size - 1) + b"\n", 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file of any size; an error is the caller's to explain."""
    with open(path, "rb") as file:
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
