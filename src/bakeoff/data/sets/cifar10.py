"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 RGB images of 32x32, ten classes."""

from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet


def _archives() -> list[Archive]:
    from torchvision.datasets import CIFAR10

    return [Archive(CIFAR10.filename, CIFAR10.tgz_md5, [CIFAR10.url], 2**28)]


TRAITS = Traits()
SOURCE = Source(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    files={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official files."""
    from torchvision.datasets import CIFAR10

    from bakeoff.data.assembly import with_validation_share
    from bakeoff.data.colour_sets import read_cifar

    return with_validation_share(config, *read_cifar(config.name, SOURCE, config.root, CIFAR10))
