"""SVHN (Netzer et al. 2011): 73,257 + 26,032 RGB images of 32x32, digits of house numbers."""

from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet


def _archives() -> list[Archive]:
    from torchvision.datasets import SVHN

    parts = [SVHN.split_list[part] for part in ("train", "test")]
    return [Archive(file, md5, [url], 2**28) for url, file, md5 in parts]


TRAITS = Traits(has_text=True)
SOURCE = Source(
    title="SVHN",
    folder=".",
    files={
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official files; of the larger "extra" part, none."""
    from torchvision.datasets import SVHN

    from bakeoff.data.assembly import with_validation_share
    from bakeoff.data.colour_sets import check_files, pool_of

    check_files(SOURCE, config.root)
    names = tuple(str(digit) for digit in range(10))
    parts = [SVHN(config.root, split=part) for part in ("train", "test")]
    train, test = (pool_of(config.name, part.data, part.labels, len(names)) for part in parts)
    return with_validation_share(config, names, train, test)
