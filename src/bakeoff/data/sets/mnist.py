"""MNIST (LeCun et al. 1998): 60,000 + 10,000 grey digits of 28x28, from unpacked files.

They may be anybody's: plain bytes in which nothing can run, and many people have put their own in
MNIST's place. A note says so where they are not the official ones.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import file_hash, source_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Archive, Source, mirrored

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet, Pool


def _archives() -> list[Archive]:
    from torchvision.datasets import MNIST

    return mirrored(MNIST, 2**24)


TRAITS = Traits(has_text=True, has_ink=True)
SOURCE = Source(
    title="MNIST",
    folder="MNIST/raw",
    files={
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    algorithm="sha256",
    archives=_archives,
    may_be_altered=True,
)


def fingerprint(root: str) -> str:
    """Of the files that are there; of others the official hashes, which a download brings."""
    return source_fingerprint(SOURCE, root)


def load(config: "DataConfig") -> "DataSet":
    """Reads the four files."""
    from bakeoff.data.assembly import with_validation_share

    names = tuple(str(digit) for digit in range(10))
    folder = SOURCE.folder_in(config.root)
    train, test = (_part(folder, part, len(names)) for part in ("train", "t10k"))
    return with_validation_share(config, names, train, test, _alterations(folder))


def _part(folder: Path, part: str, num_classes: int) -> "Pool":
    from bakeoff.data.idx import check_labels, read_idx
    from bakeoff.data.idx_sets import SHAPE
    from bakeoff.data.splits import Pool

    pixels = read_idx(folder / f"{part}-images-idx3-ubyte", SHAPE)
    labels_file = folder / f"{part}-labels-idx1-ubyte"
    labels = read_idx(labels_file, ())
    check_labels(str(labels_file), labels, len(pixels), num_classes)
    return Pool.of_grey(pixels, labels)


def _alterations(folder: Path) -> tuple[str, ...]:
    altered = [name for name in SOURCE.files if file_hash(folder / name) != SOURCE.files[name]]
    return (f"{folder}: not the official files: {', '.join(altered)}",) if altered else ()
