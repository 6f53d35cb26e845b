"""EMNIST (Cohen et al. 2017): grey letters and digits of 28x28 in six versions, `data.emnist_split`."""

import zipfile
from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source
from bakeoff.errors import DataError

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet, Pool


def _archives() -> list[Archive]:
    from torchvision.datasets import EMNIST

    return [Archive("gzip.zip", EMNIST.md5, [EMNIST.url], 2**30)]


TRAITS = Traits(has_text=True, has_ink=True, own_keys=("emnist_split",))
SOURCE = Source(
    title="EMNIST",
    folder="EMNIST/raw",
    files={
        "gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official archive, checked before it is opened, and of it the chosen version."""
    from torchvision.datasets import EMNIST

    from bakeoff.data.assembly import with_validation_share

    # torchvision's "letters" has a name for the number 0, which no image has.
    names = tuple(name for name in EMNIST.classes_split_dict[config.emnist_split] if name != "N/A")
    archive = SOURCE.folder_in(config.root) / "gzip.zip"
    try:
        with open(archive, "rb") as file:
            SOURCE.check(archive, file)
            with zipfile.ZipFile(file) as members:
                train, test = (
                    _part(members, config.emnist_split, part, len(names)) for part in ("train", "test")
                )
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive}: cannot be read: {error}") from error
    return with_validation_share(config, names, train, test)


def _part(members: zipfile.ZipFile, version: str, part: str, num_classes: int) -> "Pool":
    import numpy as np

    from bakeoff.data.idx import check_labels, read_gzipped_idx
    from bakeoff.data.idx_sets import SHAPE
    from bakeoff.data.splits import Pool

    first = 1 if version == "letters" else 0
    stem = f"gzip/emnist-{version}-{part}"
    images, labels = f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz"
    pixels = read_gzipped_idx(images, members.read(images), SHAPE)
    numbers = read_gzipped_idx(labels, members.read(labels), ())
    check_labels(labels, numbers, len(pixels), num_classes, first)
    # The archive's images lie on their side: rows and columns are swapped.
    return Pool.of_grey(np.ascontiguousarray(pixels.transpose(0, 2, 1)), numbers - first)
