"""MNIST and its kin: grey images of 28x28 in IDX files.

MNIST (LeCun et al. 1998), Fashion-MNIST (Xiao et al. 2017), KMNIST (Clanuwat et al. 2018), EMNIST
(Cohen et al. 2017) and QMNIST (Yadav and Bottou 2019, with its test set of 60,000). MNIST is read
from unpacked files, which may be anybody's (a note says so where they are not the official ones). The
others are read from the official archives, whose hashes are checked before anything is unpacked.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from torchvision.datasets import EMNIST, KMNIST, FashionMNIST

from bakeoff.config.schema import DataConfig
from bakeoff.data.fingerprint import file_hash
from bakeoff.data.idx import INT32, check_labels, read_gzipped_idx, read_idx
from bakeoff.data.sources import SOURCES
from bakeoff.data.splits import Pool
from bakeoff.errors import DataError

_SHAPE = (28, 28)
_QMNIST_LABEL_COLUMNS = 8  # the class, then writer, sheet and the like
DIGITS = tuple(str(digit) for digit in range(10))


def class_names(config: DataConfig) -> tuple[str, ...]:
    """The classes in the order of their numbers."""
    if config.name == "fashion_mnist":
        return tuple(FashionMNIST.classes)
    if config.name == "kmnist":
        return tuple(KMNIST.classes)
    if config.name == "emnist":
        # torchvision's "letters" has a name for the number 0, which no image has.
        return tuple(name for name in EMNIST.classes_split_dict[config.emnist_split] if name != "N/A")
    return DIGITS


def read(config: DataConfig) -> tuple[Pool, Pool, tuple[str, ...]]:
    """Training images, test images, and notes.

    Raises:
        DataError: a file that is damaged, altered, or holds labels out of range.
    """
    folder = SOURCES[config.name].folder_in(config.root)
    if config.name == "mnist":
        return _mnist(folder, "train"), _mnist(folder, "t10k"), _alterations(folder)
    if config.name == "emnist":
        return *_emnist(folder / "gzip.zip", config), ()
    if config.name == "qmnist":
        return _qmnist(folder, "train"), _qmnist(folder, "test"), ()
    return _gzipped(folder, config, "train"), _gzipped(folder, config, "t10k"), ()


def checked_content(path: Path, name: str) -> bytes:
    """The content of a source's file, whose hash is the official one.

    Raises:
        DataError: unreadable, or another content.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    SOURCES[name].check(path, io.BytesIO(content))
    return content


def _mnist(folder: Path, part: str) -> Pool:
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte", _SHAPE)
    labels_file = folder / f"{part}-labels-idx1-ubyte"
    labels = read_idx(labels_file, ())
    check_labels(str(labels_file), labels, len(pixels), len(DIGITS))
    return Pool.of_grey(pixels, labels)


def _alterations(folder: Path) -> tuple[str, ...]:
    official = SOURCES["mnist"].files
    altered = [name for name in official if file_hash(folder / name) != official[name]]
    return (f"{folder}: not the official files: {', '.join(altered)}",) if altered else ()


def _gzipped(folder: Path, config: DataConfig, part: str) -> Pool:
    images, labels = folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz"
    pixels = read_gzipped_idx(str(images), checked_content(images, config.name), _SHAPE)
    numbers = read_gzipped_idx(str(labels), checked_content(labels, config.name), ())
    check_labels(str(labels), numbers, len(pixels), len(class_names(config)))
    return Pool.of_grey(pixels, numbers)


def _qmnist(folder: Path, part: str) -> Pool:
    images, labels = (
        folder / f"qmnist-{part}-images-idx3-ubyte.gz",
        folder / f"qmnist-{part}-labels-idx2-int.gz",
    )
    pixels = read_gzipped_idx(str(images), checked_content(images, "qmnist"), _SHAPE)
    table = read_gzipped_idx(str(labels), checked_content(labels, "qmnist"), (_QMNIST_LABEL_COLUMNS,), INT32)
    check_labels(str(labels), table[:, 0], len(pixels), len(DIGITS))
    return Pool.of_grey(pixels, table[:, 0])


def _emnist(archive: Path, config: DataConfig) -> tuple[Pool, Pool]:
    first = 1 if config.emnist_split == "letters" else 0
    try:
        with open(archive, "rb") as file:
            SOURCES["emnist"].check(archive, file)
            with zipfile.ZipFile(file) as members:
                return _emnist_part(members, config, "train", first), _emnist_part(
                    members, config, "test", first
                )
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive}: cannot be read: {error}") from error


def _emnist_part(members: zipfile.ZipFile, config: DataConfig, part: str, first: int) -> Pool:
    stem = f"gzip/emnist-{config.emnist_split}-{part}"
    images, labels = f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz"
    pixels = read_gzipped_idx(images, members.read(images), _SHAPE)
    numbers = read_gzipped_idx(labels, members.read(labels), ())
    check_labels(labels, numbers, len(pixels), len(class_names(config)), first)
    # The archive's images lie on their side: rows and columns are swapped.
    return Pool.of_grey(np.ascontiguousarray(pixels.transpose(0, 2, 1)), numbers - first)
