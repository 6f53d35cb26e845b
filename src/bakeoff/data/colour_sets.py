"""CIFAR-10, CIFAR-100 (Krizhevsky 2009) and SVHN (Netzer et al. 2011): RGB images of 32x32.

CIFAR's files are pickles, so every hash is checked before torchvision's loader opens the first; the
loader then checks them again by itself.
"""

import numpy as np
import torch
from torchvision.datasets import CIFAR10, CIFAR100, SVHN

from bakeoff.config.schema import DataConfig
from bakeoff.data.idx import check_labels
from bakeoff.data.sources import SOURCES
from bakeoff.data.splits import Pool
from bakeoff.errors import DataError


def read(config: DataConfig) -> tuple[Pool, Pool, tuple[str, ...]]:
    """Training images, test images and class names.

    Raises:
        DataError: a file that is damaged or altered.
    """
    source = SOURCES[config.name]
    folder = source.folder_in(config.root)
    for name in source.files:
        try:
            with open(folder / name, "rb") as file:
                source.check(folder / name, file)
        except OSError as error:
            raise DataError(f"{folder / name}: cannot be read: {error.strerror or error}") from error
    if config.name == "svhn":
        parts = [SVHN(config.root, split=part) for part in ("train", "test")]
        pools = [_pool(config, part.data, part.labels, 10) for part in parts]
        return pools[0], pools[1], tuple(str(digit) for digit in range(10))
    kind = CIFAR10 if config.name == "cifar10" else CIFAR100
    sets = [kind(config.root, train=train) for train in (True, False)]
    names = tuple(sets[0].classes)
    pools = [_pool(config, part.data.transpose(0, 3, 1, 2), part.targets, len(names)) for part in sets]
    return pools[0], pools[1], names


def _pool(config: DataConfig, pixels: np.ndarray, labels: object, num_classes: int) -> Pool:
    numbers = np.asarray(labels, dtype=np.int64).reshape(-1)
    check_labels(config.name, numbers, len(pixels), num_classes)
    return Pool(torch.from_numpy(np.ascontiguousarray(pixels)), numbers)
