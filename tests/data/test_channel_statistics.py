"""Mean and standard deviation of each channel."""

import numpy as np
import pytest
import torch

from bakeoff.data.splits import TensorSplit, channel_statistics


def test_channel_statistics_are_numpys() -> None:
    pixels = np.random.RandomState(1).randint(0, 256, (5000, 2, 3, 4)).astype(np.uint8)
    pixels[:, 1] = 7
    split = TensorSplit(torch.from_numpy(pixels), torch.zeros(5000, dtype=torch.int64))
    mean, std = channel_statistics(split)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 2, 3)), atol=1e-9)
    assert std[0] == pytest.approx((pixels[:, 0] / 255).std(), abs=1e-9)
    assert std[1] == 1.0  # no contrast: nothing to divide by


@pytest.mark.parametrize("value", [0, 1, 7, 128, 254, 255])
def test_statistics_of_a_constant_are_exact(value: int) -> None:
    pixels = torch.full((4100, 1, 5, 5), value, dtype=torch.uint8)
    assert channel_statistics(TensorSplit(pixels, torch.zeros(4100, dtype=torch.int64))) == (
        [value / 255],
        [1.0],
    )


def test_statistics_by_hand_and_in_any_order() -> None:
    pixels = torch.zeros((4, 1, 2, 2), dtype=torch.uint8)
    pixels[2:] = 255
    assert channel_statistics(TensorSplit(pixels, torch.zeros(4, dtype=torch.int64))) == ([0.5], [0.5])
    random = torch.from_numpy(np.random.RandomState(3).randint(0, 256, (9000, 3, 2, 5)).astype(np.uint8))
    labels = torch.zeros(9000, dtype=torch.int64)
    assert channel_statistics(TensorSplit(random, labels)) == channel_statistics(
        TensorSplit(random.flip(0), labels)
    )
    expected = (random.numpy() / 255).std(axis=(0, 2, 3))
    np.testing.assert_allclose(channel_statistics(TensorSplit(random, labels))[1], expected, atol=1e-6)
