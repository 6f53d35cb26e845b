"""MNIST and scikit-learn's digits: the same images and labels as at their sources, and what is noted."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import source_of, write_mnist

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.selection import stratified
from bakeoff.data.sets import find_set
from bakeoff.data.splits import channel_statistics

IMAGES = "t10k-images-idx3-ubyte"


def test_files_that_are_not_the_official_ones_are_noted(tiny_mnist: str) -> None:
    (note,) = data.load(DataConfig(root=tiny_mnist)).notes
    assert "not the official files: train-images-idx3-ubyte" in note


def test_a_file_altered_in_one_byte_is_noted_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_mnist(tmp_path / "data") / "MNIST" / "raw"
    official = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in source_of("mnist").files
    }
    monkeypatch.setattr(find_set("mnist"), "SOURCE", dataclasses.replace(source_of("mnist"), files=official))
    assert data.load(DataConfig(root=str(tmp_path / "data"))).notes == ()
    path = folder / IMAGES
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    notes = data.load(DataConfig(root=str(tmp_path / "data"))).notes
    assert notes == (f"{folder}: not the official files: {IMAGES}",)


@pytest.mark.mnist
def test_real_mnist_equals_torchvisions(mnist_root: str) -> None:
    from torchvision.datasets import MNIST

    loaded = data.load(DataConfig(root=mnist_root))
    assert loaded.val is not None
    assert (len(loaded.train), len(loaded.val), len(loaded.test)) == (54_000, 6_000, 10_000)
    assert loaded.notes == ()
    train, test = MNIST(mnist_root, train=True), MNIST(mnist_root, train=False)
    images, labels = loaded.test.as_arrays()
    assert np.array_equal(images[:, 0], test.data.numpy())
    assert np.array_equal(labels, test.targets.numpy())
    kept, held = stratified(train.targets.numpy(), 0.1)
    assert np.array_equal(loaded.train.as_arrays()[0][:, 0], train.data.numpy()[kept])
    assert np.array_equal(loaded.val.as_arrays()[1], train.targets.numpy()[held])
    mean, std = channel_statistics(loaded.train)
    assert (round(mean[0], 3), round(std[0], 3)) == (0.131, 0.308)


@pytest.mark.mnist
def test_real_mnist_begins_and_ends_as_torchvisions(mnist_root: str) -> None:
    from torchvision.datasets import MNIST

    loaded, theirs = data.load(DataConfig(root=mnist_root)), MNIST(mnist_root, train=False)
    for index in (0, 9_999):
        image, label = theirs[index]
        ours = loaded.test.images(torch.tensor([index]))
        assert np.array_equal(ours[0, 0].numpy(), np.asarray(image))
        assert loaded.test.labels[index] == label
    assert loaded.val is not None
    held = np.bincount(loaded.val.as_arrays()[1])
    every = np.bincount(MNIST(mnist_root, train=True).targets.numpy())
    assert np.abs(held - every / 10).max() < 1


def test_digits_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    loaded = data.load(DataConfig(name="digits", root=str(tmp_path)))
    assert loaded.val is not None
    sizes = (len(loaded.train), len(loaded.val), len(loaded.test))
    assert sizes == (1197, 200, 400)
    found = [split.as_arrays() for _, split in loaded.splits() if split]
    images = np.concatenate([images for images, _ in found])[:, 0]
    bunch = load_digits()
    expected = np.round(bunch.images * 15.9375).astype(np.uint8)
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in expected)
    for _, labels in found:
        share = np.bincount(labels, minlength=10) / len(labels)
        assert np.abs(share - np.bincount(bunch.target) / 1797).max() < 0.006


def test_digits_keep_their_labels_order_and_proportion() -> None:
    from sklearn.datasets import load_digits

    bunch, loaded = load_digits(), data.load(DataConfig(name="digits"))
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)
    left = list(range(1797))
    for _, split in loaded.splits():
        assert split is not None
        pixels, labels = split.as_arrays()
        assert pixels.shape[1:] == (1, 8, 8)
        place = 0
        for pixel, label in zip(pixels[:, 0], labels, strict=True):
            while not (left[place] >= 0 and np.array_equal(images[left[place]], pixel)):
                place += 1
            assert bunch.target[left[place]] == label
            left[place] = -1
        shares = np.bincount(bunch.target) * len(labels) / 1797
        assert np.abs(np.bincount(labels, minlength=10) - shares).max() < 1
    assert set(left) == {-1}


def test_digits_of_another_layout_of_scikit_learn_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.data.sets import digits

    images, labels = digits._images_and_labels()
    assert (images.dtype, images.shape, labels.dtype) == (np.float64, (1797, 8, 8), np.int64)
    monkeypatch.setattr(digits, "_FILE", "not there")
    theirs, their_labels = digits._images_and_labels()
    assert np.array_equal(images, theirs)
    assert np.array_equal(labels, their_labels)
