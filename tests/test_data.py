"""Data sets: files that are right, files that are not, splits and fingerprints."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import idx_bytes, write_mnist

from bakeoff import data
from bakeoff.config import DataConfig
from bakeoff.data import fingerprint as fingerprints
from bakeoff.data.idx import read_idx
from bakeoff.data.splits import TensorSplit, channel_statistics, fingerprint, stratified
from bakeoff.errors import DataError

IMAGES = "t10k-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"


def header(*sizes: int) -> bytes:
    return bytes((0, 0, 8, len(sizes))) + b"".join(size.to_bytes(4, "big") for size in sizes)


def test_an_idx_file_is_read_as_it_stands(tmp_path: Path) -> None:
    values = np.random.RandomState(0).randint(0, 256, (7, 28, 28)).astype(np.uint8)
    (tmp_path / "images").write_bytes(idx_bytes(values))
    assert np.array_equal(read_idx(tmp_path / "images", (28, 28)), values)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (IMAGES, b"", "offset 0: magic bytes missing, not 00000803"),
        (IMAGES, b"\x1f\x8b" + bytes(100), "offset 0: this is a gzip file"),
        (IMAGES, bytes((0, 0, 0x0D, 3)) + bytes(100), "offset 0: magic bytes 00000d03, not 00000803"),
        (IMAGES, header(128) + bytes(128), "offset 0: magic bytes 00000801, not 00000803"),
        (IMAGES, header(128, 28, 28)[:10], "offset 10: the file ends within its header"),
        (
            IMAGES,
            header(128, 27, 28) + bytes(128 * 27 * 28),
            r"offset 8: images of \[27, 28\], not \[28, 28\]",
        ),
        (IMAGES, header(0, 28, 28), "offset 4: no items"),
        (
            IMAGES,
            header(128, 28, 28) + bytes(128 * 784 - 1),
            "offset 100367: ends early; 128 items take 100368",
        ),
        (IMAGES, header(128, 28, 28) + bytes(128 * 784 + 2), "offset 100368: 2 bytes after the last item"),
        (IMAGES, header(2**31, 28, 28) + bytes(784), "offset 800: ends early; 2147483648 items"),
        (LABELS, header(128) + bytes(127) + b"\x0a", "index 127: label 10, allowed are 0 to 9"),
        (LABELS, header(128) + b"\xff" + bytes(127), "index 0: label 255, allowed are 0 to 9"),
        (LABELS, header(127) + bytes(127), "127 labels for 128 images"),
    ],
)
def test_a_damaged_file_is_named_with_its_offset(
    tmp_path: Path, name: str, content: bytes, error: str
) -> None:
    path = write_mnist(tmp_path / "data") / "MNIST" / "raw" / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=error) as caught:
        data.load(DataConfig(root=str(tmp_path / "data")))
    assert str(path) in str(caught.value)


def test_a_forged_header_allocates_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(header(2**31, 28, 28) + bytes(784))
    tracemalloc.start()
    with pytest.raises(DataError):
        read_idx(tmp_path / "images", (28, 28))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_files_that_are_not_the_official_ones_are_noted(tiny_mnist: str) -> None:
    (note,) = data.load(DataConfig(root=tiny_mnist)).notes
    assert "not the official files: train-images-idx3-ubyte" in note


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


def small_split() -> TensorSplit:
    pixels = torch.arange(5 * 2 * 3 * 4, dtype=torch.uint8).reshape(5, 2, 3, 4)
    return TensorSplit(pixels, torch.tensor([0, 1, 2, 1, 0]))


def test_a_fingerprint_sees_pixels_labels_names_and_order() -> None:
    split = small_split()
    names = ("a", "b", "c")
    prints = {fingerprint(split, names), fingerprint(split, ("a", "b", "d"))}
    other = small_split()
    other.pixels[4, 1, 2, 3] += 1
    prints.add(fingerprint(other, names))
    prints.add(fingerprint(TensorSplit(split.pixels, split.labels.flip(0) + 1), names))
    prints.add(fingerprint(TensorSplit(split.pixels.flip(0), split.labels), names))
    prints.add(fingerprint(TensorSplit(split.pixels.reshape(5, 2, 4, 3), split.labels), names))
    assert len(prints) == 6
    assert fingerprint(small_split(), names) == fingerprint(split, names)


def test_channel_statistics_are_numpys() -> None:
    pixels = np.random.RandomState(1).randint(0, 256, (5000, 2, 3, 4)).astype(np.uint8)
    pixels[:, 1] = 7
    split = TensorSplit(torch.from_numpy(pixels), torch.zeros(5000, dtype=torch.int64))
    mean, std = channel_statistics(split)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 2, 3)), atol=1e-9)
    assert std[0] == pytest.approx((pixels[:, 0] / 255).std(), abs=1e-9)
    assert std[1] == 1.0  # no contrast: nothing to divide by


def test_missing_files_count_with_their_official_hashes(tmp_path: Path, mnist_root: str) -> None:
    missing = fingerprints.data_fingerprint("mnist", str(tmp_path / "none"))
    assert missing == fingerprints.data_fingerprint("mnist", mnist_root)


def test_the_data_fingerprint_follows_contents_not_places(tmp_path: Path, tiny_mnist: str) -> None:
    first = fingerprints.data_fingerprint("mnist", tiny_mnist)
    copied = shutil.copytree(tiny_mnist, tmp_path / "copy")
    assert fingerprints.data_fingerprint("mnist", str(copied)) == first
    path = copied / "MNIST" / "raw" / IMAGES
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    changed = fingerprints.data_fingerprint("mnist", str(copied))
    assert changed != first
    assert fingerprints.data_fingerprint("digits", tiny_mnist) not in (first, changed)


@pytest.mark.parametrize("content", ["not json", "[1]", '{"a": NaN}'])
def test_a_damaged_cache_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "bakeoff").mkdir()
    (tmp_path / "bakeoff" / "fingerprints.json").write_text(content)
    (tmp_path / "file").write_bytes(b"abc")
    assert fingerprints.file_hash(tmp_path / "file").startswith("ba7816bf")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert fingerprints.file_hash(tmp_path / "file").startswith("ba7816bf")
