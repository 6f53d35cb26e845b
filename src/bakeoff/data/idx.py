"""Reads IDX files, the format of MNIST (LeCun, http://yann.lecun.com/exdb/mnist/).

Four magic bytes (0, 0, 8 for unsigned bytes, number of dimensions), the sizes as big-endian uint32,
then the values. Nothing is allocated that the file itself does not hold.
"""

import math
import os
from pathlib import Path

import numpy as np

from bakeoff.errors import DataError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, shape_after_count: tuple[int, ...]) -> np.ndarray:
    """Reads a file of unsigned bytes.

    Args:
        path: an uncompressed IDX file.
        shape_after_count: the sizes that must follow the number of items: (28, 28) or ().

    Returns:
        uint8 [n, *shape_after_count], n at least 1.

    Raises:
        DataError: names the file, the offset, what stands there and what should.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            num_dims = 1 + len(shape_after_count)
            header = file.read(4 + 4 * num_dims)
            count = _check_header(path, header, size, shape_after_count)
            values = np.fromfile(file, dtype=np.uint8, count=count * math.prod(shape_after_count))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return values.reshape(count, *shape_after_count)


def _check_header(path: Path, header: bytes, size: int, shape: tuple[int, ...]) -> int:
    """Returns the number of items, which the size of the file must bear out."""
    num_dims = 1 + len(shape)
    magic = bytes((0, 0, _UNSIGNED_BYTE, num_dims))
    if header[:2] == b"\x1f\x8b":
        raise DataError(f"{path}, offset 0: this is a gzip file; unpack it (gunzip)")
    if header[:4] != magic:
        raise DataError(f"{path}, offset 0: magic bytes {header[:4].hex() or 'missing'}, not {magic.hex()}")
    if len(header) < 4 + 4 * num_dims:
        raise DataError(f"{path}, offset {len(header)}: the file ends within its header")
    count, *sizes = (int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    if tuple(sizes) != shape:
        raise DataError(f"{path}, offset 8: images of {sizes}, not {list(shape)}")
    if count == 0:
        raise DataError(f"{path}, offset 4: no items")
    expected = len(header) + count * math.prod(shape)
    if size < expected:
        raise DataError(f"{path}, offset {size}: ends early; {count} items take {expected} bytes")
    if size > expected:
        raise DataError(f"{path}, offset {expected}: {size - expected} bytes after the last item")
    return count


def check_labels(path: Path, labels: np.ndarray, num_items: int, num_classes: int) -> None:
    """Holds labels uint8 [n] against the number of images and classes.

    Raises:
        DataError: names the file and the first bad index.
    """
    if len(labels) != num_items:
        raise DataError(f"{path}: {len(labels)} labels for {num_items} images")
    bad = np.flatnonzero(labels >= num_classes)
    if len(bad):
        raise DataError(f"{path}, index {bad[0]}: label {labels[bad[0]]}, allowed are 0 to {num_classes - 1}")
