"""Order and augmentation: pure functions of (seed, epoch, index)."""

import numpy as np
import pytest
import torch
from toy import toy_split

from bakeoff.config import AugmentConfig
from bakeoff.data.augment import shift
from bakeoff.data.batches import Batch, evaluation_batches, num_batches, plan_epoch, training_batches
from bakeoff.data.splits import TensorSplit

CPU = torch.device("cpu")
SHIFT_2 = AugmentConfig(shift_pixels=2)


def epoch_of(
    split: TensorSplit, seed: int = 0, epoch: int = 1, batch_size: int = 16, first: int = 0
) -> list[Batch]:
    plan = plan_epoch(split, SHIFT_2, seed, epoch, CPU)
    return list(training_batches(split, plan, batch_size, 2, CPU, first))


def order(batches: list[Batch]) -> list[int]:
    return torch.cat([batch.indices for batch in batches]).tolist()


def test_each_image_comes_once_with_its_label() -> None:
    split = toy_split(100)
    batches = epoch_of(split)
    assert sorted(order(batches)) == list(range(100))
    assert all(torch.equal(batch.labels, split.labels[batch.indices]) for batch in batches)
    assert [len(batch.labels) for batch in batches] == [16] * 6 + [4]


def test_order_follows_seed_and_epoch_and_nothing_else() -> None:
    split = toy_split(100)
    orders = [tuple(order(epoch_of(split, seed, epoch))) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    torch.manual_seed(1)
    assert tuple(order(epoch_of(split, 2, 2))) == orders[8]


@pytest.mark.parametrize("first", [0, 1, 6, 7])
def test_a_start_in_the_middle_gives_the_same_batches(first: int) -> None:
    split = toy_split(100)
    for whole, rest in zip(epoch_of(split)[first:], epoch_of(split, first=first), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(whole, rest, strict=True))


def test_an_images_shift_does_not_depend_on_the_batch() -> None:
    split = toy_split(100)
    images = {}
    for batch_size in (7, 16, 100):
        for batch in epoch_of(split, batch_size=batch_size):
            for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
                assert torch.equal(images.setdefault(index, image), image)


def test_a_last_image_alone_joins_the_batch_before() -> None:
    assert [len(batch.labels) for batch in epoch_of(toy_split(33))] == [16, 17]
    assert num_batches(33, 16) == 2
    assert num_batches(1, 16) == 1
    assert num_batches(3, 1) == 3
    assert num_batches(5, 128) == 1


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 8)])
@pytest.mark.parametrize("largest", [1, 2, 7])
def test_shift_equals_moving_each_image_by_hand(shape: tuple[int, int, int], largest: int) -> None:
    random = np.random.RandomState(0)
    offsets = [
        (down, right) for down in range(-largest, largest + 1) for right in range(-largest, largest + 1)
    ]
    images = random.randint(1, 256, (len(offsets), *shape)).astype(np.uint8)
    expected = np.zeros_like(images)
    _, height, width = shape
    for image, target, (down, right) in zip(images, expected, offsets, strict=True):
        for row in range(height):
            for column in range(width):
                if 0 <= row - down < height and 0 <= column - right < width:
                    target[:, row, column] = image[:, row - down, column - right]
    moved = shift(torch.from_numpy(images), torch.tensor(offsets), largest)
    assert moved.dtype == torch.uint8
    assert np.array_equal(moved.numpy(), expected)


def test_shifts_are_uniform_and_reach_both_ends() -> None:
    plan = plan_epoch(toy_split(4000), SHIFT_2, 0, 1, CPU)
    assert plan.shifts is not None
    counts = torch.stack([torch.bincount(column + 2, minlength=5) for column in plan.shifts.T])
    assert counts.shape == (2, 5)
    assert (counts - 800).abs().max() < 120


def test_no_augmentation_leaves_the_bytes_alone() -> None:
    split = toy_split(20)
    plan = plan_epoch(split, AugmentConfig(), 0, 1, CPU)
    for batch in training_batches(split, plan, 8, 0, CPU):
        assert torch.equal(batch.images, split.pixels[batch.indices])


def test_evaluation_keeps_the_order_of_the_split() -> None:
    split = toy_split(21)
    batches = list(evaluation_batches(split, 8, CPU))
    assert order(batches) == list(range(21))
    assert torch.equal(torch.cat([batch.images for batch in batches]), split.pixels)
