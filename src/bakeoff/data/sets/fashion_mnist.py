"""Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 grey images of 28x28, ten kinds of clothing."""

from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source, mirrored

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet


def _archives() -> list[Archive]:
    from torchvision.datasets import FashionMNIST

    return mirrored(FashionMNIST, 2**25)


TRAITS = Traits(has_ink=True)
SOURCE = Source(
    title="Fashion-MNIST",
    folder="FashionMNIST/raw",
    files={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official archives."""
    from torchvision.datasets import FashionMNIST

    from bakeoff.data.assembly import with_validation_share
    from bakeoff.data.idx_sets import read_parts

    names = tuple(FashionMNIST.classes)
    return with_validation_share(config, names, *read_parts(SOURCE, config.root, len(names)))
