"""QMNIST (Yadav and Bottou 2019): 60,000 + 60,000 grey digits of 28x28, MNIST with its whole test set."""

from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet, Pool


def _archives() -> list[Archive]:
    from torchvision.datasets import QMNIST

    parts = QMNIST.resources["train"] + QMNIST.resources["test"]
    return [Archive(url.rpartition("/")[2], md5, [url], 2**25) for url, md5 in parts]


_NUM_LABEL_COLUMNS = 8  # the class, then writer, sheet and the like

TRAITS = Traits(has_text=True, has_ink=True)
SOURCE = Source(
    title="QMNIST",
    folder="QMNIST/raw",
    files={
        "qmnist-train-images-idx3-ubyte.gz": "ed72d4157d28c017586c42bc6afe6370",
        "qmnist-train-labels-idx2-int.gz": "0058f8dd561b90ffdd0f734c6a30e5e4",
        "qmnist-test-images-idx3-ubyte.gz": "1394631089c404de565df7b7aeaf9412",
        "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
    },
    archives=_archives,
)


def fingerprint(root: str) -> str:
    """Of the official hashes: nothing else is read."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the official archives."""
    from bakeoff.data.assembly import with_validation_share

    names = tuple(str(digit) for digit in range(10))
    train, test = (_part(config.root, part, len(names)) for part in ("train", "test"))
    return with_validation_share(config, names, train, test)


def _part(root: str, part: str, num_classes: int) -> "Pool":
    from bakeoff.data.idx import INT32, check_labels, read_gzipped_idx
    from bakeoff.data.idx_sets import SHAPE, checked_content
    from bakeoff.data.splits import Pool

    folder = SOURCE.folder_in(root)
    images, labels = (
        folder / f"qmnist-{part}-images-idx3-ubyte.gz",
        folder / f"qmnist-{part}-labels-idx2-int.gz",
    )
    pixels = read_gzipped_idx(str(images), checked_content(SOURCE, images), SHAPE)
    table = read_gzipped_idx(str(labels), checked_content(SOURCE, labels), (_NUM_LABEL_COLUMNS,), INT32)
    check_labels(str(labels), table[:, 0], len(pixels), num_classes)
    return Pool.of_grey(pixels, table[:, 0])
