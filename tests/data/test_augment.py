"""What each augmentation does to an image, held against torchvision and against moving pixels by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv
from toy import toy_split

from bakeoff.config.schema import AugmentConfig
from bakeoff.data.augment import NUM_COLUMNS, augment, draw, shifts_in_pixels
from bakeoff.data.batches import plan_epoch, training_batches

CPU = torch.device("cpu")
EVERYTHING = AugmentConfig(shift_pixels=2, rotate_degrees=20.0, scale=0.2, erase=0.5, flip=True)
DOWN, RIGHT, ROTATE, SCALE, FLIP, ERASE, AREA, RATIO, TOP, LEFT = range(NUM_COLUMNS)


def smooth(count: int, channels: int = 1, height: int = 21, width: int = 21, seed: int = 0) -> Tensor:
    """Smooth random images, so that two ways to interpolate agree within a few grey levels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, channels, 4, 4), generator=generator) * 255
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    return fine.clamp(0, 255).to(torch.uint8)


def table(count: int = 1, **columns: float) -> Tensor:
    """Numbers that do nothing but for the named columns."""
    drawn = torch.full((count, NUM_COLUMNS), 0.5)
    drawn[:, FLIP] = 0.9
    for name, value in columns.items():
        drawn[:, globals()[name]] = value
    return drawn


@pytest.mark.parametrize("size", [(21, 21), (20, 28), (33, 16)])
@pytest.mark.parametrize("degrees", [-30.0, -7.0, 0.0, 12.5, 45.0])
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("shift", [(0, 0), (2, -1)])
def test_an_affine_change_is_torchvisions(
    size: tuple[int, int], degrees: float, factor: float, shift: tuple[int, int]
) -> None:
    """torchvision turns clockwise for positive angles and moves by (right, down), as we do."""
    images = smooth(3, 3, *size)
    down, right = shift
    config = AugmentConfig(shift_pixels=2, rotate_degrees=90.0, scale=0.5)
    drawn = table(
        3,
        ROTATE=(degrees / 90 + 1) / 2,
        SCALE=((factor - 1) / 0.5 + 1) / 2,
        DOWN=(down + 2.5) / 5,
        RIGHT=(right + 2.5) / 5,
    )
    ours = augment(images, drawn, config).int()
    theirs = tv.affine(
        images.float(), degrees, [right, down], factor, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR
    )
    assert (ours - theirs.round().int()).abs().max() <= 1


def test_a_quarter_turn_is_exact() -> None:
    images = torch.randint(0, 256, (2, 3, 9, 9), dtype=torch.uint8)
    turned = augment(images, table(2, ROTATE=1.0), AugmentConfig(rotate_degrees=90.0))
    assert torch.equal(turned, torch.rot90(images, -1, (2, 3)))


def test_the_smallest_change_leaves_the_bytes() -> None:
    """Resampling at angle 0 and size 1 must not blur."""
    images = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    assert torch.equal(augment(images, table(4), AugmentConfig(rotate_degrees=30.0, scale=0.3)), images)


@pytest.mark.parametrize("resampled", [False, True])
def test_flips_are_mirrors_of_half_of_the_images(resampled: bool) -> None:
    images = torch.randint(0, 256, (400, 2, 6, 8), dtype=torch.uint8)
    drawn = draw(400, torch.Generator().manual_seed(0))
    drawn[:, ROTATE] = 0.5  # no turn, but the other code path
    config = AugmentConfig(flip="force", rotate_degrees=10.0 if resampled else 0.0)
    flipped = augment(images, drawn, config)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert torch.equal(mirrored, drawn[:, FLIP] < 0.5)
    assert torch.equal(flipped[~mirrored], images[~mirrored])
    assert 150 < mirrored.sum() < 250


def test_both_paths_shift_and_flip_alike() -> None:
    images = torch.randint(0, 256, (200, 1, 9, 11), dtype=torch.uint8)
    drawn = draw(200, torch.Generator().manual_seed(1))
    drawn[:, [ROTATE, SCALE]] = 0.5
    plain = AugmentConfig(shift_pixels=3, flip=True)
    resampled = AugmentConfig(shift_pixels=3, flip=True, rotate_degrees=5.0, scale=0.1)
    assert torch.equal(augment(images, drawn, plain), augment(images, drawn, resampled))


@pytest.mark.parametrize("size", [(28, 28), (9, 40)])
def test_erasing_blackens_one_rectangle_of_the_promised_size(size: tuple[int, int]) -> None:
    height, width = size
    images = torch.full((500, 3, height, width), 255, dtype=torch.uint8)
    drawn = draw(500, torch.Generator().manual_seed(2))
    erased = augment(images, drawn, AugmentConfig(erase=0.4)).numpy() == 0
    assert (erased == erased[:, :1]).all()  # all channels
    share = []
    for image, row in zip(erased[:, 0], drawn.numpy(), strict=True):
        assert image.any() == (row[ERASE] < 0.4)
        if image.any():
            rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
            box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert box.all()
            assert image.sum() == box.size
            share.append(box.mean() * box.size / image.size)
            if height == width:
                area = (0.02 + 0.31 * row[AREA]) * height * width
                ratio = math.exp(math.log(0.3) + math.log(11) * row[RATIO])
                expected = (
                    min(round(math.sqrt(area * ratio)), height),
                    min(round(math.sqrt(area / ratio)), width),
                )
                assert box.shape == expected
    assert 150 < len(share) < 250
    assert max(share) <= 0.36
    assert min(share) > 0


def test_erased_places_reach_every_corner() -> None:
    images = torch.full((3000, 1, 12, 12), 255, dtype=torch.uint8)
    erased = augment(images, draw(3000, torch.Generator().manual_seed(3)), AugmentConfig(erase=1.0)) == 0
    counts = erased[:, 0].sum(0)
    assert counts.min() > 50
    assert (counts - counts.flip(0)).abs().max() < 200  # no side is preferred
    assert (counts - counts.flip(1)).abs().max() < 200


@pytest.mark.parametrize("name", ["rotate_degrees", "scale"])
def test_draws_are_uniform_both_ways(name: str) -> None:
    """The angle and the size of a bar, measured in the augmented images."""
    image = torch.zeros((1, 1, 65, 65), dtype=torch.uint8)
    image[..., 30:35, 12:53] = 255
    drawn = draw(1000, torch.Generator().manual_seed(4))
    config = AugmentConfig(**{name: 20.0 if name == "rotate_degrees" else 0.3})
    found = augment(image.expand(1000, 1, 65, 65), drawn, config)[:, 0].double()
    y, x = torch.meshgrid(torch.arange(65.0) - 32, torch.arange(65.0) - 32, indexing="ij")
    mass = found.sum((1, 2))
    if name == "scale":
        measured = (mass / (255 * 5 * 41)).sqrt() - 1
        expected = (2 * drawn[:, SCALE] - 1) * 0.3
        assert (measured - expected).abs().max() < 0.05
    else:
        xx, yy, xy = ((found * term).sum((1, 2)) for term in (x * x, y * y, x * y))
        measured = torch.rad2deg(torch.atan2(2 * xy, xx - yy) / 2)
        expected = (2 * drawn[:, ROTATE] - 1) * 20
        assert (measured - expected).abs().max() < 0.5
    assert expected.min() < 0 < expected.max()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 64),
    st.floats(0, 180),
    st.floats(0, 0.9),
    st.floats(0, 1),
    st.booleans(),
    st.integers(1, 3),
)
def test_any_setting_gives_bytes_of_the_same_shape(
    shift: int, rotate: float, scale: float, erase: float, flip: bool, channels: int
) -> None:
    images = torch.randint(0, 256, (5, channels, 7, 10), dtype=torch.uint8)
    kept = images.clone()
    config = AugmentConfig(shift, rotate, scale, erase, flip)
    found = augment(images, draw(5, torch.Generator().manual_seed(0)), config)
    assert found.dtype == torch.uint8
    assert found.shape == images.shape
    assert torch.equal(images, kept)


# A pure function of (seed, epoch, index)


def epoch_images(
    batch_size: int, seed: int, epoch: int, config: AugmentConfig = EVERYTHING
) -> dict[int, Tensor]:
    split = toy_split(60)
    plan = plan_epoch(split, config, seed, epoch, CPU)
    return {
        index: image
        for batch in training_batches(split, plan, batch_size, config, CPU)
        for index, image in zip(batch.indices.tolist(), batch.images, strict=True)
    }


def test_an_images_change_depends_on_seed_epoch_and_index_alone() -> None:
    reference = epoch_images(16, 3, 2)
    for batch_size in (1, 7, 60):
        torch.manual_seed(batch_size)
        found = epoch_images(batch_size, 3, 2)
        # A batched matrix product may round a last bit otherwise, which no byte may show but by 1.
        assert all((found[i].int() - reference[i].int()).abs().max() <= 1 for i in reference)
    for seed, epoch in ((4, 2), (3, 1)):
        other = epoch_images(16, seed, epoch)
        assert sum(not torch.equal(other[i], reference[i]) for i in reference) > 50


def test_switching_one_option_on_leaves_the_others_draws() -> None:
    """So that a comparison of two augmentations is not one of two lucks."""
    shifted = epoch_images(16, 0, 1, AugmentConfig(shift_pixels=2))
    both = epoch_images(16, 0, 1, AugmentConfig(shift_pixels=2, erase=0.5))
    for index, image in shifted.items():
        changed = both[index] != image
        assert (both[index][changed] == 0).all()


def test_the_number_of_images_does_not_matter_to_the_first_ones() -> None:
    few, many = (draw(count, torch.Generator().manual_seed(7)) for count in (10, 1000))
    assert few.shape[1] == many.shape[1] == NUM_COLUMNS
    assert (many[:, :].min() >= 0) & (many.max() < 1)


@pytest.mark.parametrize("largest", [1, 2, 31, 32, 64])
def test_the_highest_draw_stays_within_the_shift(largest: int) -> None:
    below_one = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    drawn = torch.stack([torch.zeros(NUM_COLUMNS), torch.full((NUM_COLUMNS,), below_one.item())])
    assert shifts_in_pixels(drawn, largest).tolist() == [[-largest] * 2, [largest] * 2]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_extreme_draws_stay_inside_the_image(value: Any) -> None:
    drawn = torch.full((1, NUM_COLUMNS), min(value, 1 - 2**-24))
    drawn[:, ERASE] = 0
    images = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)
    erased = augment(images, drawn, AugmentConfig(erase=1.0)) == 0
    assert erased.any()
    corner = erased[0, 0, -1, -1] if value else erased[0, 0, 0, 0]
    assert corner
