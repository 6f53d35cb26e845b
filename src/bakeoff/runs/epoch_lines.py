"""`epochs.jsonl` while somebody else writes it: only what is new is read. No torch here."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.runs.reading import UnreadableFileError, opened
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.runs.rundir import EPOCHS

_MAX_BYTES = 2**26
_MOST_EPOCHS = 10**9
_SCORES = ("accuracy", "macro_f1", "nll")


class EpochLines:
    """The epochs of one run, as far as they are written."""

    def __init__(self, run: Path, max_bytes: int = _MAX_BYTES) -> None:
        self._path, self._max_bytes = run / EPOCHS, max_bytes
        self._inode, self._offset = -1, 0
        self.records: list[EpochRecord] = []
        self.written: float | None = None  # when the file was last written, seconds since 1970

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy (0 to 1) of each epoch that has one."""
        known = [record.val.accuracy for record in self.records if record.val]
        return [accuracy for accuracy in known if 0 <= accuracy <= 1]  # and no NaN

    @property
    def seconds(self) -> float:
        """What they took in all, those before a resume, too."""
        took = [record.train_seconds + record.eval_seconds for record in self.records]
        return sum(seconds for seconds in took if seconds >= 0)  # and no NaN

    def look(self) -> None:
        """Reads the lines that have come, and all of them where the file was put in place of another.

        A file that is not there, or cannot be read, leaves what was read before.
        """
        try:
            with opened(self._path, self._max_bytes) as (descriptor, size):
                status = os.fstat(descriptor)
                self.written = status.st_mtime
                if (
                    status.st_ino != self._inode or size < self._offset
                ):  # a run that went on from a checkpoint
                    self._inode, self._offset, self.records = status.st_ino, 0, []
                if size == self._offset:
                    return
                new = os.pread(descriptor, size - self._offset, self._offset)
        except UnreadableFileError:
            return
        whole = new[: new.rfind(b"\n") + 1]  # the rest is still being written
        self._offset += len(whole)
        self.records += [record for line in whole.splitlines() if (record := _record(line)) is not None]


def _record(line: bytes) -> EpochRecord | None:
    """A line as a record; None for what is none. A figure that is missing, or infinite, is NaN."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(_is_count(values.get(name)) for name in ("epoch", "step")):
        return None
    val = values.get("val")
    parts = values.get("train_loss_parts")
    return EpochRecord(
        epoch=values["epoch"],
        step=values["step"],
        lr=_number(values, "lr"),
        train_loss=_number(values, "train_loss"),
        train_loss_parts={str(name): _number(parts, name) for name in parts}
        if isinstance(parts, dict)
        else {},
        val=ValidationScores(**{name: _number(val, name) for name in _SCORES})
        if isinstance(val, dict)
        else None,
        train_seconds=_number(values, "train_seconds"),
        eval_seconds=_number(values, "eval_seconds"),
        train_images_per_second=_number(values, "train_images_per_second"),
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_EPOCHS


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan
