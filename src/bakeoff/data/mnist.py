"""MNIST from torchvision's files and mirrors: 60,000 + 10,000 images of 28x28 (LeCun et al. 1998)."""

import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import MNIST

from bakeoff.config import DataConfig
from bakeoff.data.fingerprint import MNIST_FILES, file_hash, mnist_folder
from bakeoff.data.idx import check_labels, read_idx
from bakeoff.data.splits import DataSet, TensorSplit, stratified
from bakeoff.errors import DataError

CLASS_NAMES = tuple(str(digit) for digit in range(10))
CONNECT_SECONDS = 5.0
_SIDE = 28


def load(config: DataConfig) -> DataSet:
    """Reads the four IDX files, after a download if they are not there.

    Raises:
        DataError: missing and not to be had, damaged, or labels out of range.
    """
    folder = mnist_folder(config.root)
    if not all((folder / name).is_file() for name in MNIST_FILES):
        _download(Path(config.root))
    train_pixels, train_labels = _read(folder, "train")
    test_pixels, test_labels = _read(folder, "t10k")
    kept, held = stratified(train_labels, config.val_fraction)
    if config.val_fraction > 0 and len(held) == 0:
        raise DataError(f"{folder}: too few images for data.val_fraction={config.val_fraction}")
    altered = [name for name, official in MNIST_FILES.items() if file_hash(folder / name) != official]
    note = f"{folder}: not the official files: {', '.join(altered)}"
    return DataSet(
        name=config.name,
        class_names=CLASS_NAMES,
        train=_split(train_pixels[kept], train_labels[kept]),
        val=_split(train_pixels[held], train_labels[held]) if len(held) else None,
        test=_split(test_pixels, test_labels),
        notes=(note,) if altered else (),
    )


def _read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte", (_SIDE, _SIDE))
    labels_file = folder / f"{part}-labels-idx1-ubyte"
    labels = read_idx(labels_file, ())
    check_labels(labels_file, labels, len(pixels), len(CLASS_NAMES))
    return pixels, labels


def _split(pixels: np.ndarray, labels: np.ndarray) -> TensorSplit:
    return TensorSplit(torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(labels.astype(np.int64)))


def _download(root: Path) -> None:
    """Fetches the files with torchvision (mirrors, MD5) into a side folder, then moves them in.

    So no partial file ever has a final name, and a failed download leaves nothing.
    """
    beside = root if root.is_dir() else root.resolve().parent
    try:
        side = Path(tempfile.mkdtemp(prefix=".bakeoff-download-", dir=beside))
    except OSError as error:
        raise DataError(_how_to_get(root, f"{beside} cannot be written")) from error
    try:
        with _connect_timeout(CONNECT_SECONDS):
            fetched = Path(MNIST(side, download=True).raw_folder)
        folder = mnist_folder(root)
        folder.mkdir(parents=True, exist_ok=True)
        for name in MNIST_FILES:
            if not (folder / name).exists():  # a file that the user put there stays
                os.replace(fetched / name, folder / name)
    except (OSError, RuntimeError, EOFError, HTTPException, zlib.error) as error:
        # torchvision's text lists every mirror; the first line says what happened.
        reason = " ".join(str(error).split())[:200]
        raise DataError(_how_to_get(root, f"the download failed ({reason})")) from error
    finally:
        shutil.rmtree(side, ignore_errors=True)


@contextmanager
def _connect_timeout(seconds: float) -> Iterator[None]:
    """Torchvision gives no time limit to urllib, which then waits for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _how_to_get(root: Path, reason: str) -> str:
    files = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in MNIST_FILES.items())
    return (
        f"data.root={root}: MNIST is not there and {reason}; put these files, unpacked, into "
        f"{mnist_folder(root)}: {files}; or use data=digits, which needs no download"
    )
