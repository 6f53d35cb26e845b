"""Reads what the sets of RGB images of 32x32 share: files that torchvision opens once they are checked.

CIFAR's files are pickles, so every hash is checked before torchvision's loader opens the first; the
loader then checks them again by itself.
"""

from typing import Any

import numpy as np
import torch

from bakeoff.data.idx import check_labels
from bakeoff.data.sources import Source
from bakeoff.data.splits import Pool
from bakeoff.errors import DataError


def check_files(source: Source, root: str) -> None:
    """Holds all files of a source against their official hashes.

    Raises:
        DataError: a file that cannot be read, is damaged or altered.
    """
    folder = source.folder_in(root)
    for name in source.files:
        try:
            with open(folder / name, "rb") as file:
                source.check(folder / name, file)
        except OSError as error:
            raise DataError(f"{folder / name}: cannot be read: {error.strerror or error}") from error


def read_cifar(name: str, source: Source, root: str, kind: Any) -> tuple[tuple[str, ...], Pool, Pool]:
    """Class names, training and test images, by torchvision's class for the set.

    Raises:
        DataError: a file that is damaged or altered, or holds labels out of range.
    """
    check_files(source, root)
    sets = [kind(root, train=train) for train in (True, False)]
    names = tuple(sets[0].classes)
    train, test = (pool_of(name, part.data.transpose(0, 3, 1, 2), part.targets, len(names)) for part in sets)
    return names, train, test


def pool_of(name: str, pixels: np.ndarray, labels: object, num_classes: int) -> Pool:
    """From uint8 [n, 3, h, w] and n labels.

    Raises:
        DataError: a label out of range.
    """
    numbers = np.asarray(labels, dtype=np.int64).reshape(-1)
    check_labels(name, numbers, len(pixels), num_classes)
    return Pool(torch.from_numpy(np.ascontiguousarray(pixels)), numbers)
