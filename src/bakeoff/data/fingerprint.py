"""The hash of what a data set is made of. No torch here.

It is part of a run's identity, so it must be known before the data are read, also by a sweep's parent
that reads none. A source whose files are checked against official hashes before they are opened is known
by those hashes: nothing else gets in. MNIST, which may be altered, and a folder of pictures are known
by their contents. Hashes of contents are kept in the user's cache folder by path, size and time of
change; never in the data's own folder.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bakeoff.data.folders import list_pictures
from bakeoff.data.hashes import content_hash
from bakeoff.data.sets import find_set
from bakeoff.data.sources import Source
from bakeoff.errors import DataError, ResourceError
from bakeoff.machine.signals import check_stop
from bakeoff.runs.reading import UnreadableFileError, read_json, sha256_of
from bakeoff.runs.storage import write_json


def data_fingerprint(name: str, root: str) -> str:
    """SHA-256 (hex) of what a data set is made of.

    Raises:
        ConfigError: there is no such data set.
        DataError: a file is there but cannot be read, or a folder of pictures holds none.
    """
    return find_set(name).fingerprint(root)


def named_fingerprint(name: str) -> str:
    """For images that bakeoff or a library brings: a name that changes whenever they do."""
    return hashlib.sha256(name.encode()).hexdigest()


def source_fingerprint(source: Source, root: str) -> str:
    """For a set by its files, with the official hash of each, or its own where it may be altered.

    Files that are not there yet count with their official hashes: a download brings just these.

    Raises:
        DataError: a file is there but cannot be read.
    """
    hashes = dict(source.files)
    if source.may_be_altered:
        paths = [source.folder_in(root) / file_name for file_name in source.files]
        hashes |= {path.name: file_hash(path) for path in paths if path.is_file()}
    return _digest(sorted(hashes.items()))


def folder_fingerprint(root: Path) -> str:
    """For a folder of pictures: names and contents of all that are used, in the order of the splits.

    Remembered as one entry, so that a cache of millions is not needed.

    Raises:
        DataError: a folder that is no data set.
    """
    paths = [root / picture.name for picture in list_pictures(root).pictures]

    def of_contents() -> str:
        return _digest((path.relative_to(root).as_posix(), _content(path)) for path in paths)

    with _read_errors(root):
        listing = _digest((path.relative_to(root).as_posix(), _state(path)) for path in paths)
        return _remembered(f"{root.resolve()}|{listing}", of_contents)


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file, from the cache if path, size and time of change are as before.

    Raises:
        DataError: the file cannot be read.
    """
    with _read_errors(path):
        return _remembered(f"{path.resolve()}|{_version(path)}", lambda: sha256_of(path))


def _version(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}|{status.st_mtime_ns}"


def _state(path: Path) -> str:
    return f"{_version(path)}{'' if os.access(path, os.R_OK) else '|closed'}"


def _content(path: Path) -> str:
    # The loader names a picture that cannot be read, or leaves it out (data.skip_broken).
    try:
        return content_hash(path)
    except OSError:
        return "unreadable"


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise DataError(f"{where}: cannot be read: {error.strerror or error}") from error


def _remembered(key: str, compute: Callable[[], str]) -> str:
    cached = _read_cache()
    if key not in cached:
        cached[key] = compute()
        _write_cache(cached)
    return cached[key]


def _digest(named_hashes: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, content in named_hashes:
        check_stop()
        digest.update(f"{name} {content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _cache_file() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "bakeoff" / "fingerprints.json"


def _read_cache() -> dict[str, str]:
    try:
        return {key: str(value) for key, value in read_json(_cache_file()).items()}
    except UnreadableFileError:
        return {}  # a missing or damaged cache only costs the time to hash again


def _write_cache(cached: dict[str, str]) -> None:
    # No home folder or a full disk only means to hash again next time.
    with suppress(OSError, ResourceError):
        _cache_file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_cache_file(), cached)
