"""Hashes of files that this process has read: for a fingerprint, and again to find copies. No torch."""

import os
from pathlib import Path

from bakeoff.runs.reading import sha256_of

# Path, size and time of change -> hash. It lives as long as the process; a folder of pictures fits.
_read: dict[tuple[str, int, int], str] = {}


def content_hash(path: Path) -> str:
    """SHA-256 (hex) of a file; it is read once, unless it changes.

    Raises:
        OSError: it cannot be read.
    """
    status = path.stat()
    key = str(path), status.st_size, status.st_mtime_ns
    if key not in _read or not os.access(path, os.R_OK):  # closed to us since then
        _read[key] = sha256_of(path)
    return _read[key]
