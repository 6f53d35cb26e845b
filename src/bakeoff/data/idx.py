"""Reads IDX files, the format of MNIST (LeCun, http://yann.lecun.com/exdb/mnist/).

Four magic bytes (0, 0, the type of the values, number of dimensions), the sizes as big-endian uint32,
then the values, big-endian. Nothing is allocated that the file itself does not hold.
"""

import gzip
import io
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.errors import DataError

# Byte in the magic number -> type of the values: unsigned bytes, and QMNIST's 32-bit labels.
UNSIGNED_BYTE, INT32 = 8, 12
_TYPES: dict[int, np.dtype[Any]] = {UNSIGNED_BYTE: np.dtype(">u1"), INT32: np.dtype(">i4")}


def read_idx(path: Path, shape_after_count: tuple[int, ...]) -> np.ndarray:
    """Reads an uncompressed file of unsigned bytes.

    Args:
        path: the file.
        shape_after_count: the sizes that must follow the number of items: (28, 28) or ().

    Returns:
        uint8 [n, *shape_after_count], n at least 1.

    Raises:
        DataError: names the file, the offset, what stands there and what should.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return parse_idx(str(path), file, size, shape_after_count)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_gzipped_idx(
    name: str, content: bytes, shape_after_count: tuple[int, ...], kind: int = UNSIGNED_BYTE
) -> np.ndarray:
    """The same for the content of a gzip file; `name` is for the error text.

    Raises:
        DataError: as `read_idx`, or no gzip file.
    """
    try:
        unpacked = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: no whole gzip file ({error})") from error
    return parse_idx(name, io.BytesIO(unpacked), len(unpacked), shape_after_count, kind)


def parse_idx(
    name: str,
    file: io.BufferedIOBase,
    size: int,
    shape_after_count: tuple[int, ...],
    kind: int = UNSIGNED_BYTE,
) -> np.ndarray:
    """Reads from an open file of `size` bytes; see `read_idx`."""
    header = file.read(4 + 4 * (1 + len(shape_after_count)))
    count = _check_header(name, header, size, shape_after_count, kind)
    content = bytearray(count * math.prod(shape_after_count) * _TYPES[kind].itemsize)
    file.readinto(content)
    values = np.frombuffer(content, dtype=_TYPES[kind])
    return values.astype(_TYPES[kind].newbyteorder("="), copy=False).reshape(count, *shape_after_count)


def _check_header(name: str, header: bytes, size: int, shape: tuple[int, ...], kind: int) -> int:
    """Returns the number of items, which must fit the size of the file."""
    num_dims = 1 + len(shape)
    magic = bytes((0, 0, kind, num_dims))
    if header[:2] == b"\x1f\x8b":
        raise DataError(f"{name}, offset 0: this is a gzip file; unpack it (gunzip)")
    if header[:4] != magic:
        raise DataError(f"{name}, offset 0: magic bytes {header[:4].hex() or 'missing'}, not {magic.hex()}")
    if len(header) < 4 + 4 * num_dims:
        raise DataError(f"{name}, offset {len(header)}: the file ends within its header")
    count, *sizes = (int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    if tuple(sizes) != shape:
        what = "images" if len(shape) == 2 else "rows"
        raise DataError(f"{name}, offset 8: {what} of {sizes}, not {list(shape)}")
    if count == 0:
        raise DataError(f"{name}, offset 4: no items")
    expected = len(header) + count * math.prod(shape) * _TYPES[kind].itemsize
    if size < expected:
        raise DataError(f"{name}, offset {size}: ends early; {count} items take {expected} bytes")
    if size > expected:
        raise DataError(f"{name}, offset {expected}: {size - expected} bytes after the last item")
    return count


def check_labels(name: str, labels: np.ndarray, num_items: int, num_classes: int, first: int = 0) -> None:
    """Holds labels [n] against the number of images and the classes first..first+num_classes-1.

    Raises:
        DataError: names the file and the first bad index.
    """
    if len(labels) != num_items:
        raise DataError(f"{name}: {len(labels)} labels for {num_items} images")
    last = first + num_classes - 1
    bad = np.flatnonzero((labels < first) | (labels > last))
    if len(bad):
        raise DataError(f"{name}, index {bad[0]}: label {labels[bad[0]]}, allowed are {first} to {last}")
