"""Splits -> batches on the device. Order and augmentation are pure functions of (seed, epoch, index).

Tables for a whole epoch are drawn at once on the CPU, so they are the same on every device, and a
run that begins in the middle of an epoch sees what an uninterrupted one would have seen.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from bakeoff.config.schema import AugmentConfig
from bakeoff.data import augment
from bakeoff.data.splits import Split

# Streams of random numbers that must not be the same ones.
_ORDER_STREAM, _AUGMENT_STREAM = 0, 2


class Batch(NamedTuple):
    """What a model is taught from. All tensors lie on the device."""

    images: UInt8[Tensor, "b c h w"]  # raw bytes, augmented
    labels: Int64[Tensor, "b"]  # 0..C-1
    indices: Int64[Tensor, "b"]  # position in the split

    def parts(self, count: int) -> "Iterator[Batch]":
        """Splits into at most `count` parts of equal size (the last may be smaller), in order.

        None has a single image, unless the batch has.
        """
        size = max(2, -(-len(self.labels) // count))
        starts = [*_batch_starts(len(self.labels), size), len(self.labels)]
        for start, end in itertools.pairwise(starts):
            yield Batch(self.images[start:end], self.labels[start:end], self.indices[start:end])


@dataclass(frozen=True)
class EpochPlan:
    """The order of an epoch's images and the random numbers of their augmentation."""

    order: Int64[Tensor, "n"]  # on the device of the split
    # By image, not by place in the order; on the device. None where nothing is augmented.
    drawn: Float32[Tensor, "n columns"] | None


def plan_epoch(split: Split, config: AugmentConfig, seed: int, epoch: int, device: torch.device) -> EpochPlan:
    """Draws an epoch's tables on the CPU and moves them once."""
    order = torch.randperm(len(split), generator=_generator(seed, epoch, _ORDER_STREAM))
    drawn = None
    if augment.is_active(config):
        drawn = augment.draw(len(split), _generator(seed, epoch, _AUGMENT_STREAM)).to(device)
    return EpochPlan(order.to(split.device), drawn)


def num_batches(num_images: int, batch_size: int) -> int:
    """Batches an epoch has."""
    return len(_batch_starts(num_images, batch_size))


def training_batches(
    split: Split,
    plan: EpochPlan,
    batch_size: int,
    config: AugmentConfig,
    device: torch.device,
    first: int = 0,
) -> Iterator[Batch]:
    """Yields an epoch's batches from number `first` on; every image comes exactly once."""
    starts = [*_batch_starts(len(split), batch_size), len(split)]
    for start, end in zip(starts[first:-1], starts[first + 1 :], strict=True):
        batch = _gather(split, plan.order[start:end], device)
        if plan.drawn is not None:
            drawn = plan.drawn.index_select(0, batch.indices)
            batch = batch._replace(images=augment.augment(batch.images, drawn, config))
        yield batch


def evaluation_batches(split: Split, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Yields a split in its own order, unchanged."""
    for start in range(0, len(split), batch_size):
        indices = torch.arange(start, min(start + batch_size, len(split)), device=split.device)
        yield _gather(split, indices, device)


def _batch_starts(num_images: int, batch_size: int) -> list[int]:
    starts = list(range(0, num_images, batch_size))
    # Batch norm cannot normalise a single value, so a last image alone joins the batch before it.
    if len(starts) > 1 and batch_size > 1 and num_images - starts[-1] == 1:
        starts.pop()
    return starts


def _gather(split: Split, indices: Int64[Tensor, "b"], device: torch.device) -> Batch:
    # Where the split lies on the host, this copies a batch of bytes to the device.
    return Batch(
        split.images(indices).to(device),
        split.labels.index_select(0, indices).to(device),
        indices.to(device),
    )


def _generator(seed: int, epoch: int, stream: int) -> torch.Generator:
    # SeedSequence mixes the three numbers, so that (seed 1, epoch 0) is not (seed 0, epoch 1).
    mixed = int(np.random.SeedSequence([seed, epoch, stream]).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(mixed >> 1)
