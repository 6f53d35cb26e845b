"""What races and studies have written of themselves into their sweep's folder. No torch here.

While one goes on its test images are closed: no command shows a test figure of its runs, so that nobody
decides by them.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from bakeoff.runs.reading import UnreadableFileError, read_json

RACE, TUNE = "race.json", "tune.json"


def is_open(sweep: Path) -> bool:
    """Whether the folder is that of a race or a study that has not ended, or that cannot be read."""
    return any(
        _is_open(record, *stamp) for record in (sweep / RACE, sweep / TUNE) if (stamp := _stamp(record))
    )


def is_sealed(run: Path) -> bool:
    """Whether a run belongs to one that has not ended: its test figures are nobody's business yet."""
    return is_open(run.parent)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes with each writing: a record is read once for all runs that ask."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=256)
def _is_open(path: Path, _mtime_ns: int, _inode: int) -> bool:
    try:
        record: dict[str, Any] = read_json(path, attempts=2)
    except UnreadableFileError:
        return True
    return not isinstance(record.get("ended"), str)
