"""What a run keeps for reports: which images, in which size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bakeoff.data.splits import TensorSplit
from bakeoff.evaluation.prediction import Predictions
from bakeoff.experiment.kept import keep_test_images
from bakeoff.runs.kept_images import kept_images

HASH = "ab" * 32


def photographs(count: int, side: int = 128, channels: int = 3) -> TensorSplit:
    """Images of one colour each, of three classes in turn."""
    tones = (torch.arange(count) % 250).to(torch.uint8)
    return TensorSplit(
        tones.reshape(-1, 1, 1, 1).expand(count, channels, side, side), torch.arange(count) % 3
    )


def said(split: TensorSplit, wrong: dict[int, float]) -> Predictions:
    """Right everywhere but at some images, which are wrong with a confidence."""
    labels = split.labels.numpy()
    rows = np.full((len(labels), 3), 0.05, np.float32)
    rows[np.arange(len(labels)), labels] = 0.9
    for index, confidence in wrong.items():
        rows[index] = (1 - confidence) / 2
        rows[index, (labels[index] + 1) % 3] = confidence
    return Predictions(np.arange(len(labels)), labels, rows, {}, batch_size=10)


@pytest.mark.parametrize("side", [33, 96, 128])
def test_of_large_images_mistakes_and_a_sample_are_kept(tmp_path: Path, side: int) -> None:
    split = photographs(250, side)
    keep_test_images(tmp_path, HASH, split, said(split, {200 - n: 0.5 + n / 200 for n in range(50)}))
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [HASH]
    found = kept_images(tmp_path / "run", HASH, range(250))
    # The most confident 40 of the 50 mistakes, and 13 or 14 of each class.
    assert sorted(found) == [*range(40), *range(151, 191)]
    for index, image in found.items():
        assert image.shape == (min(side, 96), min(side, 96), 3)
        assert (image == index).all()


def test_each_run_adds_its_own_mistakes_to_one_sample(tmp_path: Path) -> None:
    split = photographs(250)
    for wrong in ({100: 0.9}, {101: 0.9, 100: 0.8}, {2: 0.9}):
        keep_test_images(tmp_path, HASH, split, said(split, wrong))
    assert sorted(kept_images(tmp_path / "run", HASH, range(250))) == [*range(40), 100, 101]


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_small_images_are_all_kept_in_one_file(tmp_path: Path, side: int, channels: int) -> None:
    split = photographs(250, side, channels)
    keep_test_images(tmp_path, HASH, split, said(split, {}))
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [f"{HASH}.npz"]
    found = kept_images(tmp_path / "run", HASH, range(250))
    assert sorted(found) == list(range(250))
    assert all(
        (image == index).all() and image.shape == (side, side, channels) for index, image in found.items()
    )
