"""`measurements.json`: latencies that were taken again after a run had ended, kept beside it. No torch here.

The file is read with distrust, as everything in a run directory, and only ever replaced as a whole. The
summary is never touched: it stays what the run itself has measured.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from bakeoff.runs.reading import UnreadableFileError, moment, read_json
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.storage import storage_errors, write_json

MEASUREMENTS = "measurements.json"
BAKEOFF, ONNX, PT2 = "bakeoff", "onnx", "pt2"
ENGINES = (BAKEOFF, ONNX, PT2)
# The oldest go first, so that the file never grows beyond what is read.
_MOST_KEPT = 5_000
_LONGEST_TEXT = 300  # characters
_MOST = 1e15  # of any number: milliseconds, images, bytes
_WORD = re.compile(r"[\w.:+-]{1,40}")


@dataclass(frozen=True)
class Measurement:
    """What a model took for batches of one size, with what it depends on. None where nothing was measured."""

    time: str  # ISO 8601, UTC
    host: str
    device: str  # cpu, cuda, cuda:1
    device_name: str
    cpu: str
    torch: str
    precision: str
    threads: int  # of the CPU, that an operator may use
    batch_size: int  # images
    engine: str  # of `ENGINES`: who computed
    file: str | None  # the exported file's name; None: the run itself
    latency_ms_median: float  # of a whole batch, from bytes to probabilities
    latency_ms_p95: float
    images_per_second: float
    peak_memory_bytes: int | None  # resident on the CPU, allocated on a GPU
    load_average: float | None  # of the minute before; this process included
    repeats: int  # batches that were timed
    disturbed: bool | None = (
        None  # whether others left too few cores at that time; older versions did not say
    )


def read_measurements(run: Path) -> list[Measurement]:
    """What was measured of a run so far, in the order in which it was stored; nothing where no file is.

    Raises:
        UnreadableFileError: it is there, but damaged, or not what its name says.
    """
    path = run / MEASUREMENTS
    if not os.path.lexists(path):
        return []
    content = read_json(path)
    if content.get("schema") != SCHEMA:
        raise UnreadableFileError(f"{path.name}: not of schema {SCHEMA}, so of a later version of bakeoff")
    found = content.get("measurements")
    if not isinstance(found, list):
        raise UnreadableFileError(f"{path.name}: holds no list of measurements")
    return [_measurement(path, number, item) for number, item in enumerate(found, 1)]


def add_measurements(run: Path, new: Sequence[Measurement]) -> None:
    """Stores measurements behind those that are there. Two processes at once both have theirs kept.

    Raises:
        UnreadableFileError: what is there is damaged, and would be lost.
        ResourceError: the file cannot be written; what was there is untouched.
    """
    with _alone(run):
        kept = [*read_measurements(run), *new][-_MOST_KEPT:]
        write_json(run / MEASUREMENTS, {"schema": SCHEMA, "measurements": [asdict(item) for item in kept]})


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Waits for others who add to the same file. A lock on the folder leaves no file, however one ends."""
    with storage_errors(run):
        descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        os.close(descriptor)


def _measurement(path: Path, number: int, item: Any) -> Measurement:
    """One of the file's, each field of its kind and within bounds; unknown fields are a later version's."""
    if not isinstance(item, dict):
        raise UnreadableFileError(f"{path.name}: measurement {number} is no object")
    values: dict[str, Any] = {}
    for field in fields(Measurement):
        value = item.get(field.name)
        if not _is_a(value, field.type):
            raise UnreadableFileError(f"{path.name}: measurement {number} has no valid {field.name}")
        values[field.name] = value
    found = Measurement(**values)
    if moment(found.time) is None:
        raise UnreadableFileError(f"{path.name}: measurement {number} has no valid time")
    for name in ("device", "precision"):
        if not _WORD.fullmatch(getattr(found, name)):
            raise UnreadableFileError(f"{path.name}: measurement {number} has no valid {name}")
    if found.engine not in ENGINES:
        raise UnreadableFileError(f"{path.name}: measurement {number} has no engine of {', '.join(ENGINES)}")
    counts = (found.threads, found.batch_size, found.repeats)
    if min(counts) < 1 or not 0 < found.latency_ms_median <= found.latency_ms_p95:
        raise UnreadableFileError(f"{path.name}: measurement {number} has impossible figures")
    return found


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a value is of a field's type; a whole number will do as a float, `true` as neither."""
    kinds = get_args(kind) or (kind,)
    if value is None:
        return type(None) in kinds
    if isinstance(value, str):
        return str in kinds and len(value) <= _LONGEST_TEXT
    if isinstance(value, bool):
        return bool in kinds
    if not isinstance(value, int | float):
        return False
    return 0 <= value <= _MOST and (float in kinds or (int in kinds and isinstance(value, int)))
