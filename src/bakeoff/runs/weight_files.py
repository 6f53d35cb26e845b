"""The weights of a run: read, or looked at without torch. No torch at import."""

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.runs.reading import UnreadableFileError, opened
from bakeoff.runs.rundir import MAX_WEIGHT_BYTES, WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor

_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit


def weight_bytes(run: Path) -> int | None:
    """Size of a run's chosen weights; None where there are none. A link is not ours."""
    try:
        status = os.lstat(run / WEIGHTS)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def has_whole_weights(run: Path) -> bool:
    """Whether the file of the chosen weights is as long as its own header says."""
    try:
        with opened(run / WEIGHTS, MAX_WEIGHT_BYTES) as (descriptor, size):
            start = int.from_bytes(os.pread(descriptor, 8, 0), "little")
            if not 0 < start <= min(size, _MAX_HEADER_BYTES):
                return False
            header = json.loads(os.pread(descriptor, start, 8))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return bool(ends) and 8 + start + max(ends) == size
    except (UnreadableFileError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return False


def read_weights(run: Path) -> "dict[str, Tensor]":
    """Reads the chosen weights of a finished run, on the CPU.

    Raises:
        UnreadableFileError: missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    # The library wants a name: that of the descriptor which was checked, so that nothing can be exchanged.
    with opened(run / WEIGHTS, MAX_WEIGHT_BYTES) as (descriptor, _):
        try:
            return load_file(f"/dev/fd/{descriptor}")
        except SafetensorError as error:
            raise UnreadableFileError(f"{WEIGHTS}: damaged: {str(error)[:200]}") from error
