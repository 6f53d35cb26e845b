"""The files that each data set is made of, with their official hashes. No torch here.

torchvision publishes the hashes (MD5) and the addresses; a test holds this table against its. MNIST
is known by its unpacked files (SHA-256), as most people have it.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import DataError


@dataclass(frozen=True)
class Source:
    """Where a data set's files lie below the data root, and what they must be."""

    title: str
    folder: str  # relative to the root
    files: dict[str, str]  # name -> hash, in hex
    algorithm: str = "md5"

    def folder_in(self, root: str | Path) -> Path:
        """The folder of the files below a data root."""
        return Path(root) / self.folder

    def is_complete(self, root: str | Path) -> bool:
        """Whether all files are there; says nothing of their contents."""
        return all((self.folder_in(root) / name).is_file() for name in self.files)

    def check(self, path: Path, file: io.BufferedIOBase) -> None:
        """Holds an open file against its official hash and rewinds it, before anything reads it.

        Raises:
            DataError: another content.
        """
        found = hashlib.file_digest(file, self.algorithm).hexdigest()
        file.seek(0)
        if found != self.files[path.name]:
            raise DataError(
                f"{path}: {self.algorithm.upper()} {found}, not the official {self.files[path.name]}; "
                "damaged or altered: remove it, and the next run fetches it again"
            )


def _gzipped_idx(folder: str, title: str, hashes: tuple[str, str, str, str]) -> Source:
    parts = [
        f"{part}-{kind}.gz"
        for part in ("train", "t10k")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    return Source(title, folder, dict(zip(parts, hashes, strict=True)))


SOURCES = {
    "mnist": Source(
        "MNIST",
        "MNIST/raw",
        {
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        "sha256",
    ),
    "fashion_mnist": _gzipped_idx(
        "FashionMNIST/raw",
        "Fashion-MNIST",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "kmnist": _gzipped_idx(
        "KMNIST/raw",
        "KMNIST",
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    "emnist": Source("EMNIST", "EMNIST/raw", {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"}),
    "qmnist": Source(
        "QMNIST",
        "QMNIST/raw",
        {
            "qmnist-train-images-idx3-ubyte.gz": "ed72d4157d28c017586c42bc6afe6370",
            "qmnist-train-labels-idx2-int.gz": "0058f8dd561b90ffdd0f734c6a30e5e4",
            "qmnist-test-images-idx3-ubyte.gz": "1394631089c404de565df7b7aeaf9412",
            "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
        },
    ),
    "cifar10": Source(
        "CIFAR-10",
        "cifar-10-batches-py",
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    "cifar100": Source(
        "CIFAR-100",
        "cifar-100-python",
        {
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
    "svhn": Source(
        "SVHN",
        ".",
        {
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        },
    ),
}
