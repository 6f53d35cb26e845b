"""Archives of arrays (`.npz`) that may be anybody's, read piece by piece. No torch here.

Nothing is unpickled, and what a file claims to hold is checked before memory is taken for it.
"""

import math
import os
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bakeoff.runs.reading import UnreadableFileError, opened

if TYPE_CHECKING:
    import numpy as np

# The end of a ZIP file without a comment: signature, numbers of disks and entries, size and place of the
# list of its entries, length of the comment.
_END = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR_BYTES = 20
_LARGEST_LIST = 2**14  # bytes; each of our archives has less than ten entries


class ArrayStream:
    """One array of an archive: its dtype and shape are known, its values not read yet."""

    def __init__(self, file: IO[bytes]) -> None:
        import numpy as np

        self._file = file
        # In version 1.0 a header has at most 65,535 bytes, in later ones gigabytes.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("a header that is not of version 1.0")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if is_fortran or dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError("an array of another kind")
        self.shape: tuple[int, ...] = shape
        self.dtype = dtype

    @property
    def num_bytes(self) -> int:
        """What all values take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, shape: Sequence[int]) -> "np.ndarray":
        """The next values, as an array of this shape that cannot be written to."""
        import numpy as np

        size = math.prod(shape) * self.dtype.itemsize
        content = self._file.read(size)
        if len(content) != size:
            raise ValueError("cut off")
        return np.frombuffer(content, self.dtype).reshape(shape)

    def check_end(self) -> None:
        """After the last value: its checksum is compared by a read at the end."""
        if self._file.read(1):
            raise ValueError("more values than its header says")


@contextmanager
def opened_archive(path: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """A file of arrays of at most `max_bytes`; whatever is wrong with it inside the block is its damage.

    Raises:
        UnreadableFileError: with the reason.
    """
    with opened(path, max_bytes) as (descriptor, size), open(descriptor, "rb", closefd=False) as file:
        try:
            _refuse_long_list(descriptor, size)
            with zipfile.ZipFile(file) as archive:
                yield archive
        except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds for a damaged archive
            raise UnreadableFileError(f"{path.name}: damaged: {str(error)[:200]}") from error


@contextmanager
def opened_array(archive: zipfile.ZipFile, name: str) -> Iterator[ArrayStream]:
    """One array of the archive, to be read piece by piece."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for gigabytes
        raise ValueError("compressed in another way")
    with archive.open(entry) as file:
        yield ArrayStream(file)


def read_array(archive: zipfile.ZipFile, name: str, dtype: str, max_bytes: int) -> "np.ndarray":
    """All of an array of this dtype, as NumPy calls it."""
    with opened_array(archive, name) as stream:
        if stream.dtype.name != dtype or stream.num_bytes > max_bytes:
            raise ValueError(f"{name} is of another kind, or too large")
        values = stream.read(stream.shape)
        stream.check_end()
    return values


def _refuse_long_list(descriptor: int, size: int) -> None:
    """`zipfile` reads the whole list of entries, which may be millions, before it can be asked."""
    length = _END.size + _ZIP64_LOCATOR_BYTES
    tail = os.pread(descriptor, length, max(0, size - length))
    signature, *_, list_bytes, _, comment_bytes = _END.unpack(tail[-_END.size :])
    has_locator = tail[: -_END.size].startswith(b"PK\x06\x07")
    if signature != b"PK\x05\x06" or comment_bytes or has_locator or list_bytes > _LARGEST_LIST:
        raise ValueError("not an archive of a few arrays")
