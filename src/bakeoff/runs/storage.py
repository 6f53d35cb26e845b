"""Plain files, written whole and read with distrust. No torch here.

A file appears under its name complete or not at all: temporary file in the same folder, flush,
fsync, rename over, fsync of the folder. `reading.py` is the other half.
"""

import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from bakeoff.errors import ResourceError

_TEMPORARIES: set[Path] = set()  # files and folders of this process, now
# As `_replacing` names them, and as safetensors does, which puts its own in their place.
_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp|\.tmp[0-9A-Za-z]{6}")
_OUT_OF_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], other: str = "output_dir", *, sync: bool = True
) -> None:
    """Calls `write` with an open temporary file, then puts it in place of `path`.

    Without `sync` nothing waits for the disk, and after a power cut the file may be empty.

    Raises:
        ResourceError: the file cannot be written; what stood under `path` is untouched.
    """
    with _replacing(path, other, sync=sync) as temporary, open(temporary, "xb") as file:
        write(file)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def write_where_told(path: Path, write: Callable[[BinaryIO], object], other: str) -> None:
    """Writes what a person has asked for by a name: a file appears whole, and a link leads to it.

    Into a device or a pipe it goes as it comes: a rename would put a file in its place.

    Raises:
        ResourceError: it cannot be written; `other` names the option.
    """
    if path.exists() and not path.is_file():
        with storage_errors(path, other), open(path, "wb") as device:
            write(device)
        return
    write_atomically(path.resolve() if path.is_symlink() else path, write, other)


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
def _replacing(path: Path, other: str = "output_dir", *, sync: bool = True) -> Iterator[Path]:
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
        if sync:
            sync_folder(path.parent)


@contextmanager
def folder_being_made(path: Path) -> Iterator[None]:
    """Makes a folder; until the end of the block it is one of the `remove_temporaries`.

    Raises:
        OSError: it cannot be made, or is there already.
    """
    path.mkdir()  # first: one that was there before is somebody else's, and stays
    _TEMPORARIES.add(path)
    try:
        yield
    finally:
        _TEMPORARIES.discard(path)


def remove_temporaries() -> None:
    """For a process that ends this moment: of what is being written nothing stays."""
    for temporary in list(_TEMPORARIES):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)  # what is a folder raises
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files that killed processes have left in a folder, where no other may write."""
    if folder.is_symlink():
        return
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    Path(entry.path).unlink()


def make_folder(path: Path) -> None:
    """Makes a folder, or finds it. A link in its place is not followed: what it leads to is not ours.

    Raises:
        ResourceError: it cannot be made, or something else has its name.
    """
    with storage_errors(path):
        try:
            path.mkdir()
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                return
            raise NotADirectoryError(errno.ENOTDIR, "a link or a file has the folder's name") from None
        sync_folder(path.parent)


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
    with (
        storage_errors(path),
        open(path, "a", encoding="utf-8", errors="backslashreplace", opener=open_own) as file,
    ):
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def open_own(path: str, flags: int) -> int:
    """Opens a file to write where it stands: a regular one, and by no link, since runs come from others."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file")
    return descriptor


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
            descriptor = open_own(os.fspath(path), os.O_WRONLY)
        except FileNotFoundError:
            return write_atomically(path, lambda file: file.write(content))
        try:
            # Spaces over the rest of a longer one, so that there is a single write and nothing to cut off.
            os.pwrite(descriptor, content.rstrip().ljust(os.fstat(descriptor).st_size - 1) + b"\n", 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
