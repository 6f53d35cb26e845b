"""Reads what MNIST's kin share: grey images of 28x28 in gzipped IDX files that are the official ones."""

import io
from pathlib import Path

from bakeoff.data.idx import check_labels, read_gzipped_idx
from bakeoff.data.sources import Source
from bakeoff.data.splits import Pool
from bakeoff.errors import DataError

SHAPE = (28, 28)


def read_parts(source: Source, root: str, num_classes: int) -> tuple[Pool, Pool]:
    """Training and test images of a set whose files have MNIST's names.

    Raises:
        DataError: a file that is damaged, altered, or holds labels out of range.
    """
    folder = source.folder_in(root)
    train, test = (_part(source, folder, part, num_classes) for part in ("train", "t10k"))
    return train, test


def checked_content(source: Source, path: Path) -> bytes:
    """The content of a source's file, whose hash is the official one.

    Raises:
        DataError: unreadable, or another content.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    source.check(path, io.BytesIO(content))
    return content


def _part(source: Source, folder: Path, part: str, num_classes: int) -> Pool:
    images, labels = folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz"
    pixels = read_gzipped_idx(str(images), checked_content(source, images), SHAPE)
    numbers = read_gzipped_idx(str(labels), checked_content(source, labels), ())
    check_labels(str(labels), numbers, len(pixels), num_classes)
    return Pool.of_grey(pixels, numbers)
