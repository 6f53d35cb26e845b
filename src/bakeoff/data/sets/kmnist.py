"""KMNIST (Clanuwat et al. 2018): 60,000 + 10,000 grey images of 28x28, ten Japanese syllables."""

from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source, mirrored

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet


def _archives() -> list[Archive]:
    from torchvision.datasets import KMNIST

    return mirrored(KMNIST, 2**25)


TRAITS = Traits(has_text=True, has_ink=True)
SOURCE = Source(
    title="KMNIST",
    folder="KMNIST/raw",
    files={
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official archives."""
    from torchvision.datasets import KMNIST

    from bakeoff.data.assembly import with_validation_share
    from bakeoff.data.idx_sets import read_parts

    names = tuple(KMNIST.classes)
    return with_validation_share(config, names, *read_parts(SOURCE, config.root, len(names)))
