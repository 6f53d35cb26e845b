"""The validation split: complete, in proportion, and the same for all runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import source_of, write_mnist
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.selection import stratified
from bakeoff.errors import DataError


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.013])
def test_the_validation_split_is_stratified_and_complete(fraction: float) -> None:
    labels = np.repeat(np.arange(4), [10, 33, 100, 7])
    kept, held = stratified(labels, fraction)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(150))
    assert len(held) == round(150 * fraction)
    counts = np.bincount(labels[held], minlength=4)
    assert (np.abs(counts - np.array([10, 33, 100, 7]) * fraction) < 1).all()
    assert np.array_equal(stratified(labels, fraction)[1], held)


def test_the_validation_split_stays_as_it_is() -> None:
    """Fingerprints of runs that others made depend on it."""
    assert stratified(np.arange(40) % 4, 0.25)[1].tolist() == [2, 4, 5, 11, 13, 20, 22, 23, 25, 28]


def test_without_a_validation_share_there_is_no_split(tiny_mnist: str) -> None:
    loaded = data.load(DataConfig(root=tiny_mnist, val_fraction=0.0))
    assert loaded.val is None
    assert len(loaded.train) == 512


def test_train_and_val_are_the_training_file_whatever_the_seed(tiny_mnist: str) -> None:
    folder = source_of("mnist").folder_in(tiny_mnist)
    pixels = np.fromfile(folder / "train-images-idx3-ubyte", np.uint8, offset=16).reshape(512, 1, 28, 28)
    labels = np.fromfile(folder / "train-labels-idx1-ubyte", np.uint8, offset=8)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        loaded = data.load(DataConfig(root=tiny_mnist))
        assert loaded.val is not None
        found.append([loaded.train.as_arrays(), loaded.val.as_arrays()])
    for (first, first_labels), (second, second_labels) in zip(*found, strict=True):
        assert np.array_equal(first, second)
        assert np.array_equal(first_labels, second_labels)
    # All images differ, so an image's bytes tell its place in the file.
    places = {image.tobytes(): index for index, image in enumerate(pixels)}
    train, val = ([places[image.tobytes()] for image in images] for images, _ in found[0])
    assert len(val) == round(512 * 0.1) == 51
    assert train == sorted(train)
    assert val == sorted(val)
    assert sorted(train + val) == list(range(512))
    for (_, loaded_labels), positions in zip(found[0], (train, val), strict=True):
        assert np.array_equal(loaded_labels, labels[positions])


@pytest.mark.parametrize(
    ("labels", "fraction", "by_class"),
    [
        (
            [0] * 3 + [1] * 5 + [2] * 2,
            0.5,
            [2, 2, 1],
        ),  # shares 1.5, 2.5, 1: the first of a tie gets the fifth
        ([0] * 7 + [1] * 3, 0.1, [1, 0]),  # shares 0.7, 0.3
        ([0] * 3 + [1] * 3, 0.25, [1, 1]),  # round(1.5) is 2
        ([0] * 5, 0.5, [2]),  # round(2.5) is 2
        ([0, 1, 2, 3], 0.5, [1, 1, 0, 0]),
        ([3] * 10 + [1] * 20, 0.1, [0, 2, 0, 1]),
        ([0, 1], 0.1, [0, 0]),
        ([0, 1, 2], 0.0, [0, 0, 0]),
    ],
)
def test_shares_counted_by_hand(labels: list[int], fraction: float, by_class: list[int]) -> None:
    kept, held = stratified(np.array(labels), fraction)
    assert np.bincount(np.array(labels)[held], minlength=len(by_class)).tolist() == by_class
    assert sorted([*kept, *held]) == list(range(len(labels)))


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=120),
    fraction=st.one_of(st.floats(0, 0.5), st.sampled_from([0.1, 0.2, 0.3, 1 / 3, 0.45, 0.5])),
)
def test_any_split_is_complete_disjoint_sorted_and_in_proportion(labels: list[int], fraction: float) -> None:
    array = np.array(labels)
    kept, held = stratified(array, fraction)
    assert len(held) == round(len(array) * fraction)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(array)))
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(held) > 0)
    shares = np.bincount(array, minlength=10) * fraction
    assert np.abs(np.bincount(array[held], minlength=10) - shares).max() < 1 + 1e-6


def test_too_few_images_to_hold_any_back_is_an_error(tmp_path: Path) -> None:
    root = write_mnist(tmp_path / "data", 4, 10)
    with pytest.raises(DataError, match=r"too few images for data\.val_fraction=0\.1"):
        data.load(DataConfig(root=str(root)))
    assert len(data.load(DataConfig(root=str(root), val_fraction=0.0)).train) == 4
