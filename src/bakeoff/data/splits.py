"""What a data set is to the loop: three splits of uint8 images that can be sliced by index."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from bakeoff.data.selection import MEANINGS

_HASHED_AT_ONCE = 4096


class Split(ABC):
    """Images and labels of one split. A source larger than memory implements `images` otherwise."""

    labels: Int64[Tensor, "n"]  # 0..C-1, on the device of the split

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the images lie; indices and the images they give are there as well."""

    @abstractmethod
    def images(self, indices: Int64[Tensor, "b"]) -> UInt8[Tensor, "b c h w"]:
        """The images at these positions."""

    @abstractmethod
    def to(self, device: torch.device) -> "Split":
        """The same split with its data on another device."""

    def __len__(self) -> int:
        return len(self.labels)

    def as_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images uint8 [n, c, h, w] and labels int64 [n], on the host."""
        everything = torch.arange(len(self), device=self.device)
        return self.images(everything).cpu().numpy(), self.labels.cpu().numpy()

    @property
    def num_bytes(self) -> int:
        """What the images of the split take in memory."""
        return self.images(torch.arange(1, device=self.device)).numel() * len(self)


class TensorSplit(Split):
    """A split whose images lie in one uint8 tensor [n, c, h, w]."""

    def __init__(self, pixels: UInt8[Tensor, "n c h w"], labels: Int64[Tensor, "n"]) -> None:
        self.pixels = pixels
        self.labels = labels

    @property
    def device(self) -> torch.device:
        """Where the tensor lies."""
        return self.pixels.device

    def images(self, indices: Int64[Tensor, "b"]) -> UInt8[Tensor, "b c h w"]:
        """Gathers rows of the tensor."""
        return self.pixels.index_select(0, indices)

    def to(self, device: torch.device) -> "TensorSplit":
        """Moves images and labels."""
        return TensorSplit(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Pool:
    """Images as read from a source, before they are split."""

    pixels: UInt8[Tensor, "n c h w"]
    labels: np.ndarray  # int64 [n], the source's own numbers, from 0

    @classmethod
    def of_grey(cls, pixels: np.ndarray, labels: np.ndarray) -> "Pool":
        """From uint8 [n, h, w] and integer labels [n]."""
        return cls(torch.from_numpy(pixels).unsqueeze(1), labels.astype(np.int64))

    def split(self, positions: np.ndarray, new_label: np.ndarray) -> TensorSplit:
        """The images at these positions, with their classes renumbered."""
        labels = torch.from_numpy(new_label[self.labels[positions]])
        return TensorSplit(self.pixels.index_select(0, torch.from_numpy(positions)), labels)


@dataclass(frozen=True)
class DataSet:
    """A data set by its three splits. `val` is None where `data.val_fraction` is 0 and nothing brings it."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    val: Split | None
    test: Split
    notes: tuple[str, ...] = ()  # what a user should know, such as files that are not the official ones
    files: dict[str, list[str]] | None = None  # of a folder of pictures: by split, in its order
    skipped: tuple[tuple[str, str], ...] = ()  # pictures that could not be read, and why
    has_own_val: bool = False  # brought by the data, not held back by data.val_fraction

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.images(torch.arange(1, device=self.train.device)).shape[1:]
        return channels, height, width

    def splits(self) -> list[tuple[str, Split | None]]:
        """All three, with their names."""
        return [("train", self.train), ("val", self.val), ("test", self.test)]


# What it means that a split has no image of a class.
_WITHOUT_IMAGES = {
    "train": "no model can learn it; add some, or leave it out with data.classes",
    "val": "the choice of weights does not see it; {more}add images",
    "test": "its F1 counts as 0 in the macro-F1; add some, or leave it out with data.classes",
}
_MOST_CLASSES_NAMED = 5


def notes_on_missing_classes(dataset: DataSet) -> tuple[str, ...]:
    """A line for each split that has no image of some class."""
    notes = []
    for name, split in dataset.splits():
        if split is None:
            continue
        counts = torch.bincount(split.labels, minlength=len(dataset.class_names)).tolist()
        missing = [each for each, count in zip(dataset.class_names, counts, strict=True) if count == 0]
        if missing:
            named = ", ".join(missing[:_MOST_CLASSES_NAMED]) + (
                ", ..." if missing[_MOST_CLASSES_NAMED:] else ""
            )
            of = f"class {named}" if len(missing) == 1 else f"{len(missing)} classes ({named})"
            more = "" if dataset.has_own_val else "raise data.val_fraction, or "
            notes.append(f"no {MEANINGS[name]} image of {of}: {_WITHOUT_IMAGES[name].format(more=more)}")
    return tuple(notes)


def fingerprint(split: Split, class_names: Sequence[str]) -> str:
    """SHA-256 (hex) over shape, class names, image bytes and labels, in the order of the split."""
    digest = hashlib.sha256()
    shape = [len(split), *split.images(torch.arange(1, device=split.device)).shape[1:]]
    digest.update(repr((shape, list(class_names))).encode())
    for start in range(0, len(split), _HASHED_AT_ONCE):
        indices = torch.arange(start, min(start + _HASHED_AT_ONCE, len(split)), device=split.device)
        digest.update(np.ascontiguousarray(split.images(indices).cpu().numpy()).data)
    digest.update(np.ascontiguousarray(split.labels.cpu().numpy()).astype("<i8").data)
    return digest.hexdigest()


def channel_statistics(split: Split) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels, of values in 0..1.

    Summed as integers, so the result does not depend on threads or on the order of the images.
    """
    total = torch.zeros(1, dtype=torch.int64)
    squares = torch.zeros(1, dtype=torch.int64)
    count = 0
    for start in range(0, len(split), _HASHED_AT_ONCE):
        indices = torch.arange(start, min(start + _HASHED_AT_ONCE, len(split)), device=split.device)
        pixels = split.images(indices).cpu().to(torch.int32)
        total = total + pixels.sum(dim=(0, 2, 3), dtype=torch.int64)
        squares = squares + (pixels * pixels).sum(dim=(0, 2, 3), dtype=torch.int64)
        count += pixels.numel() // pixels.shape[1]
    mean = total.double() / count / 255
    variance = squares.double() / count / 255**2 - mean**2
    # A channel without contrast (all black) must not divide by zero.
    std = variance.clamp(min=0).sqrt()
    return mean.tolist(), [value if value > 1e-6 else 1.0 for value in std.tolist()]
