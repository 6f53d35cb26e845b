"""Order and augmentation: pure functions of (seed, epoch, index)."""

import numpy as np
import pytest
import torch
from toy import toy_split

from bakeoff.config.schema import AugmentConfig
from bakeoff.data.augment import NUM_COLUMNS, shift, shifts_in_pixels
from bakeoff.data.batches import Batch, evaluation_batches, num_batches, plan_epoch, training_batches
from bakeoff.data.splits import Split, TensorSplit

CPU = torch.device("cpu")
SHIFT_2 = AugmentConfig(shift_pixels=2)


def epoch_of(
    split: TensorSplit, seed: int = 0, epoch: int = 1, batch_size: int = 16, first: int = 0
) -> list[Batch]:
    plan = plan_epoch(split, SHIFT_2, seed, epoch, CPU)
    return list(training_batches(split, plan, batch_size, SHIFT_2, CPU, first))


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
    assert plan.drawn is not None
    shifts = shifts_in_pixels(plan.drawn, 2)
    counts = torch.stack([torch.bincount(column + 2, minlength=5) for column in shifts.T])
    assert counts.shape == (2, 5)
    assert (counts - 800).abs().max() < 120


def test_no_augmentation_leaves_the_bytes_alone() -> None:
    split = toy_split(20)
    plan = plan_epoch(split, AugmentConfig(), 0, 1, CPU)
    for batch in training_batches(split, plan, 8, AugmentConfig(), CPU):
        assert torch.equal(batch.images, split.pixels[batch.indices])


def test_evaluation_keeps_the_order_of_the_split() -> None:
    split = toy_split(21)
    batches = list(evaluation_batches(split, 8, CPU))
    assert order(batches) == list(range(21))
    assert torch.equal(torch.cat([batch.images for batch in batches]), split.pixels)


def moved_by_hand(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """One image uint8 [c, h, w], a pixel at a time."""
    target = np.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                target[:, row, column] = image[:, row - down, column - right]
    return target


def test_each_image_of_an_epoch_is_moved_by_its_own_entry_of_the_plan() -> None:
    split = toy_split(37)
    kept = split.pixels.clone()
    plan = plan_epoch(split, SHIFT_2, 3, 2, CPU)
    assert plan.drawn is not None
    shifts = shifts_in_pixels(plan.drawn, 2)
    for batch in training_batches(split, plan, 8, SHIFT_2, CPU):
        for index, image in zip(batch.indices.tolist(), batch.images.numpy(), strict=True):
            down, right = shifts[index].tolist()
            assert np.array_equal(image, moved_by_hand(split.pixels[index].numpy(), down, right))
    assert torch.equal(split.pixels, kept)


def test_shifts_follow_seed_and_epoch() -> None:
    split = toy_split(50)
    tables = set()
    for seed in (0, 1):
        for epoch in (0, 1):
            plan = plan_epoch(split, SHIFT_2, seed, epoch, CPU)
            again = plan_epoch(split, SHIFT_2, seed, epoch, CPU)
            assert plan.drawn is not None
            assert again.drawn is not None
            assert torch.equal(plan.drawn, again.drawn)
            tables.add((tuple(plan.drawn.flatten().tolist()), tuple(plan.order.tolist())))
    assert len({drawn for drawn, _ in tables}) == 4
    assert len({order_ for _, order_ in tables}) == 4


def test_the_order_does_not_depend_on_augmentation() -> None:
    split = toy_split(50)
    plain = plan_epoch(split, AugmentConfig(), 5, 3, CPU)
    assert plain.drawn is None
    assert torch.equal(plain.order, plan_epoch(split, SHIFT_2, 5, 3, CPU).order)


def test_order_and_augmentation_are_drawn_from_streams_of_their_own() -> None:
    """By hand. From one stream, the place of an image would say how it is moved; and stored runs depend on both."""

    def stream(number: int) -> torch.Generator:
        mixed = int(np.random.SeedSequence([5, 3, number]).generate_state(1, np.uint64)[0])
        return torch.Generator().manual_seed(mixed >> 1)

    plan = plan_epoch(toy_split(50), SHIFT_2, 5, 3, CPU)
    assert plan.drawn is not None
    assert torch.equal(plan.order, torch.randperm(50, generator=stream(0)))
    assert torch.equal(plan.drawn, torch.rand((50, NUM_COLUMNS), generator=stream(2)))


def test_a_plan_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    plan_epoch(toy_split_without_drawing(), SHIFT_2, 0, 1, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys)


def toy_split_without_drawing() -> TensorSplit:
    return TensorSplit(torch.zeros((9, 1, 4, 4), dtype=torch.uint8), torch.zeros(9, dtype=torch.int64))


def test_the_largest_seed_has_an_order_of_its_own() -> None:
    split = toy_split(100)
    seeds = (0, 1, 2**32, 2**32 + 1, 2**63 - 1)
    assert len({tuple(plan_epoch(split, SHIFT_2, seed, 1, CPU).order.tolist()) for seed in seeds}) == 5


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (10, 5, [5, 5]),
        (11, 5, [5, 6]),  # one left alone joins
        (12, 5, [5, 5, 2]),
        (6, 5, [6]),
        (5, 5, [5]),
        (4, 5, [4]),
        (1, 5, [1]),
        (3, 1, [1, 1, 1]),
        (3, 2, [3]),
        (3, 1000, [3]),
    ],
)
def test_sizes_of_an_epochs_batches(count: int, batch_size: int, sizes: list[int]) -> None:
    split = toy_split(count)
    batches = epoch_of(split, batch_size=batch_size)
    assert [len(batch.labels) for batch in batches] == sizes
    assert num_batches(count, batch_size) == len(sizes)
    assert sorted(order(batches)) == list(range(count))


def test_a_start_at_a_joined_last_batch_is_that_batch() -> None:
    split = toy_split(33)
    (last,) = epoch_of(split, first=1)
    assert all(torch.equal(a, b) for a, b in zip(last, epoch_of(split)[1], strict=True))
    assert len(last.labels) == 17


class OnDemand(Split):
    """A split that is no tensor: its images come from an array, as from a file."""

    def __init__(self, split: TensorSplit) -> None:
        self.array, self.labels = split.pixels.numpy(), split.labels

    @property
    def device(self) -> torch.device:
        return CPU

    def images(self, indices: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.array[indices.numpy()])

    def to(self, device: torch.device) -> "OnDemand":
        return self


def test_a_split_on_the_host_gives_the_same_batches() -> None:
    split = toy_split(50)
    host = OnDemand(split)
    plan = plan_epoch(host, SHIFT_2, 0, 1, CPU)
    pairs = [(epoch_of(split), training_batches(host, plan, 16, SHIFT_2, CPU))]
    pairs.append((list(evaluation_batches(split, 16, CPU)), evaluation_batches(host, 16, CPU)))
    for expected, found in pairs:
        for one, other in zip(expected, found, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 8), (2, 9, 4)])
def test_a_shift_does_not_depend_on_neighbours_place_or_margin(shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, *shape), generator=generator, dtype=torch.uint8)
    shifts = torch.randint(-3, 4, (12, 2), generator=generator)
    moved = shift(images, shifts, 3)
    places = torch.randperm(12, generator=generator)
    assert torch.equal(shift(images[places], shifts[places], 3), moved[places])
    assert torch.equal(torch.cat([shift(images[i : i + 1], shifts[i : i + 1], 3) for i in range(12)]), moved)
    assert torch.equal(shift(images, shifts, 6), moved)


def test_what_moves_in_is_black_and_nothing_is_lost_at_zero() -> None:
    white = torch.full((2, 1, 4, 6), 255, dtype=torch.uint8)
    moved = shift(white, torch.tensor([[0, 0], [1, -2]]), 2)
    assert torch.equal(moved[0], white[0])
    expected = torch.full((4, 6), 255, dtype=torch.uint8)
    expected[0] = 0
    expected[:, 4:] = 0
    assert torch.equal(moved[1, 0], expected)


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (9, [5])])
def test_evaluation_joins_nothing(batch_size: int, sizes: list[int]) -> None:
    split = toy_split(5)
    batches = list(evaluation_batches(split, batch_size, CPU))
    assert [len(batch.labels) for batch in batches] == sizes
    assert torch.equal(torch.cat([batch.labels for batch in batches]), split.labels)
    assert order(batches) == [0, 1, 2, 3, 4]
