"""Which files a data set is made of, and the hash of their contents. No torch here.

The fingerprint is SHA-256 over sorted relative names and contents. It is part of a run's identity,
so it must be known before the data are read, also by a sweep's parent that reads none. Hashes are
kept in the user's cache folder by path, size and time of change; never in the data's own folder.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from bakeoff.errors import DataError, ResourceError
from bakeoff.storage import UnreadableFileError, read_json, write_json

# SHA-256 of the four official files of MNIST, uncompressed.
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
DIGITS_SPLIT = "digits-split-v1"


def mnist_folder(root: str | Path) -> Path:
    """Where torchvision keeps MNIST's files below a data root."""
    return Path(root) / "MNIST" / "raw"


def data_fingerprint(name: str, root: str) -> str:
    """SHA-256 (hex) of what a data set is made of; `digits` is known by the name of its split.

    Files that are not there yet count with their official hashes: a download brings just these.

    Raises:
        DataError: a file is there but cannot be read.
    """
    if name == "digits":
        return hashlib.sha256(DIGITS_SPLIT.encode()).hexdigest()
    folder = mnist_folder(root)
    digest = hashlib.sha256()
    for file_name, official in sorted(MNIST_FILES.items()):
        path = folder / file_name
        content = file_hash(path) if path.exists() else official
        digest.update(f"{file_name} {content}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file, from the cache if path, size and time of change are as before.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        cached = _read_cache()
        if key not in cached:
            with open(path, "rb") as file:
                cached[key] = hashlib.file_digest(file, "sha256").hexdigest()
            _write_cache(cached)
        return cached[key]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


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
