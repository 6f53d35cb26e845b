"""Small data sets in the official formats of the large ones, and the hashes that go with them."""

import dataclasses
import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from conftest import idx_bytes, source_of
from torchvision.datasets import CIFAR10, CIFAR100, EMNIST, KMNIST, QMNIST, SVHN, FashionMNIST

from bakeoff.data.sets import find_set

NUM_TRAIN, NUM_TEST = 60, 20
NAMES = ("fashion_mnist", "kmnist", "emnist", "qmnist", "cifar10", "cifar100", "svhn")
NUM_CLASSES = {"emnist": 47, "cifar100": 100}
Arrays = tuple[np.ndarray, np.ndarray]


def arrays(name: str, count: int, seed: int) -> Arrays:
    """Images uint8 [n, c, h, w] as they should be loaded, and labels."""
    random = np.random.RandomState(seed)
    shape = (3, 32, 32) if name in ("cifar10", "cifar100", "svhn") else (1, 28, 28)
    labels = np.arange(count) % NUM_CLASSES.get(name, 10)
    return random.randint(0, 256, (count, *shape)).astype(np.uint8), labels


def write(name: str, root: Path) -> dict[str, Arrays]:
    """Writes a data set's files below a root; returns what must be read from them."""
    parts = {"train": arrays(name, NUM_TRAIN, 0), "test": arrays(name, NUM_TEST, 1)}
    folder = source_of(name).folder_in(root)
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in _contents(name, parts).items():
        (folder / file_name).write_bytes(content)
    return parts


def _contents(name: str, parts: dict[str, Arrays]) -> dict[str, bytes]:
    if name in ("fashion_mnist", "kmnist"):
        found = {}
        for part, stem in (("train", "train"), ("test", "t10k")):
            pixels, labels = parts[part]
            found[f"{stem}-images-idx3-ubyte.gz"] = gzip.compress(idx_bytes(pixels[:, 0]))
            found[f"{stem}-labels-idx1-ubyte.gz"] = gzip.compress(idx_bytes(labels))
        return found
    if name == "emnist":
        return {"gzip.zip": emnist_zip(parts)}
    if name == "qmnist":
        found = {}
        for part in ("train", "test"):
            pixels, labels = parts[part]
            found[f"qmnist-{part}-images-idx3-ubyte.gz"] = gzip.compress(idx_bytes(pixels[:, 0]))
            table = np.column_stack([labels, *(np.full(len(labels), value) for value in range(1000, 1007))])
            header = bytes((0, 0, 12, 2)) + len(labels).to_bytes(4, "big") + (8).to_bytes(4, "big")
            found[f"qmnist-{part}-labels-idx2-int.gz"] = gzip.compress(header + table.astype(">i4").tobytes())
        return found
    if name == "svhn":
        return {f"{part}_32x32.mat": _mat(*parts[part]) for part in ("train", "test")}
    return _cifar(name, parts)


def emnist_zip(parts: dict[str, Arrays], split: str = "balanced", first: int = 0) -> bytes:
    """The archive; its images lie on their side."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part, (pixels, labels) in parts.items():
            stem = f"gzip/emnist-{split}-{part}"
            on_their_side = pixels[:, 0].transpose(0, 2, 1)
            archive.writestr(f"{stem}-images-idx3-ubyte.gz", gzip.compress(idx_bytes(on_their_side)))
            archive.writestr(f"{stem}-labels-idx1-ubyte.gz", gzip.compress(idx_bytes(labels + first)))
    return content.getvalue()


def _mat(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    content = io.BytesIO()
    numbers = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]  # the digit 0 is class 10
    scipy.io.savemat(content, {"X": pixels.transpose(2, 3, 1, 0), "y": numbers})
    return content.getvalue()


def _cifar(name: str, parts: dict[str, Arrays]) -> dict[str, bytes]:
    def batch(pixels: np.ndarray, labels: np.ndarray) -> bytes:
        key = "labels" if name == "cifar10" else "fine_labels"
        return pickle.dumps({"data": pixels.reshape(len(pixels), -1), key: labels.tolist()}, protocol=2)

    pixels, labels = parts["train"]
    if name == "cifar100":
        meta = pickle.dumps({"fine_label_names": [f"thing {number}" for number in range(100)]})
        return {"train": batch(pixels, labels), "test": batch(*parts["test"]), "meta": meta}
    found = {
        f"data_batch_{number + 1}": batch(pixels[12 * number : 12 * number + 12], labels[12 * number :][:12])
        for number in range(5)
    }
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    return found | {"test_batch": batch(*parts["test"]), "batches.meta": pickle.dumps({"label_names": names})}


def make_official(name: str, root: Path, patch: pytest.MonkeyPatch) -> None:
    """Puts the hashes of the files below a root into our table and torchvision's."""
    source = source_of(name)
    md5 = {file: _md5((source.folder_in(root) / file).read_bytes()) for file in source.files}
    patch.setattr(find_set(name), "SOURCE", dataclasses.replace(source, files=md5))
    if name in ("cifar10", "cifar100"):
        kind = CIFAR10 if name == "cifar10" else CIFAR100
        patch.setattr(kind, "train_list", [[file, md5[file]] for file, _ in kind.train_list])
        patch.setattr(kind, "test_list", [[file, md5[file]] for file, _ in kind.test_list])
        patch.setattr(kind, "meta", {**kind.meta, "md5": md5[kind.meta["filename"]]})
    if name == "svhn":
        listed = {part: [url, file, md5.get(file, "")] for part, (url, file, _) in SVHN.split_list.items()}
        patch.setattr(SVHN, "split_list", listed)


def serve(name: str, root: Path, url: str, patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Points torchvision's addresses at a server; returns what it must answer, by path."""
    folder = source_of(name).folder_in(root)
    answers = {f"/{path.name}": path.read_bytes() for path in folder.iterdir() if path.is_file()}
    md5 = {path[1:]: _md5(content) for path, content in answers.items()}
    if name in ("fashion_mnist", "kmnist"):
        kind = FashionMNIST if name == "fashion_mnist" else KMNIST
        patch.setattr(kind, "mirrors", [url])
        patch.setattr(kind, "resources", [(file, md5[file]) for file in source_of(name).files])
    elif name == "emnist":
        patch.setattr(EMNIST, "url", f"{url}gzip.zip")
        patch.setattr(EMNIST, "md5", md5["gzip.zip"])
    elif name == "qmnist":
        patch.setattr(
            QMNIST,
            "resources",
            {
                part: [(f"{url}{file}", md5[file]) for file in md5 if file.startswith(f"qmnist-{part}")]
                for part in ("train", "test")
            },
        )
    elif name == "svhn":
        listed = {
            part: [f"{url}{file}", file, md5.get(file, "")] for part, (_, file, _) in SVHN.split_list.items()
        }
        patch.setattr(SVHN, "split_list", listed)
    else:
        kind = CIFAR10 if name == "cifar10" else CIFAR100
        archive = cifar_archive(folder)
        patch.setattr(kind, "url", f"{url}{kind.filename}")
        patch.setattr(kind, "tgz_md5", _md5(archive))
        answers = {f"/{kind.filename}": archive}
    return answers


def cifar_archive(folder: Path) -> bytes:
    """The .tar.gz with a few members that must not come out."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, f"{folder.name}/{path.name}")
        for evil in ("../escaped", "/tmp/escaped-absolute", f"{folder.name}/extra"):
            member = tarfile.TarInfo(evil)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"evil"))
    return content.getvalue()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
