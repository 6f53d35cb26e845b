"""The predictions that a run has stored, read with distrust. No torch here."""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.runs.reading import UnreadableFileError, read_bytes
from bakeoff.runs.rundir import PREDICTIONS

if TYPE_CHECKING:
    import numpy as np


def read_predictions(run: Path, split: str, max_bytes: int = 2**31) -> "dict[str, np.ndarray]":
    """Reads stored predictions; object arrays are refused, so nothing is ever unpickled.

    Raises:
        UnreadableFileError: missing, damaged (each array has a CRC), or without one of its arrays.
    """
    import numpy as np

    name = PREDICTIONS[split]
    content = read_bytes(run / name, max_bytes)
    try:
        _refuse_compression(content)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in ("index", "label", "probabilities")}
    except MemoryError:
        raise  # too large for this machine, not damaged
    except Exception as error:  # zipfile and NumPy raise a dozen kinds for a damaged archive
        raise UnreadableFileError(f"{name}: damaged: {str(error)[:200]}") from error


def _refuse_compression(content: bytes) -> None:
    """We store arrays as they are; somebody else's small file must not grow to gigabytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed")
