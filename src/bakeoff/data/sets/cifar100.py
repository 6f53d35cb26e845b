"""CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32x32, a hundred classes."""

from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet


def _archives() -> list[Archive]:
    from torchvision.datasets import CIFAR100

    return [Archive(CIFAR100.filename, CIFAR100.tgz_md5, [CIFAR100.url], 2**28)]


TRAITS = Traits()
SOURCE = Source(
    title="CIFAR-100",
    folder="cifar-100-python",
    files={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official files."""
    from torchvision.datasets import CIFAR100

    from bakeoff.data.assembly import with_validation_share
    from bakeoff.data.colour_sets import read_cifar

    return with_validation_share(config, *read_cifar(config.name, SOURCE, config.root, CIFAR100))
