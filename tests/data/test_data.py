"""Data sets: files that are right, files that are not, splits and fingerprints."""

import dataclasses
import hashlib
import resource
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import idx_bytes, source_of, write_mnist
from fake_cuda import fake_cuda
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data import fingerprint as fingerprints
from bakeoff.data.idx import read_idx
from bakeoff.data.selection import stratified
from bakeoff.data.sets import find_set
from bakeoff.data.splits import TensorSplit, channel_statistics, fingerprint
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


# Further faults, splits and statistics.


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 8, 15, 16, 17, 799, 800, 2 * 784 + 15])
def test_a_file_cut_anywhere_is_refused_at_that_offset(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "images", (header(2, 28, 28) + bytes(2 * 784))[:length])
    offset = length if length >= 4 else 0  # a cut magic is a wrong magic
    with pytest.raises(DataError) as caught:
        read_idx(path, (28, 28))
    assert str(caught.value).startswith(f"{path}, offset {offset}: ")


@pytest.mark.parametrize("extra", [1, 784])
def test_bytes_after_the_last_item_are_refused(tmp_path: Path, extra: int) -> None:
    path = write(tmp_path / "images", header(1, 28, 28) + bytes(784 + extra))
    with pytest.raises(DataError) as caught:
        read_idx(path, (28, 28))
    assert str(caught.value) == f"{path}, offset 800: {extra} bytes after the last item"


@pytest.mark.parametrize(
    "sizes", [(27, 28), (28, 27), (14, 56), (784, 1), (2**31, 28), (28, 2**32 - 1), (0, 0)]
)
def test_images_of_other_sizes_are_refused(tmp_path: Path, sizes: tuple[int, int]) -> None:
    path = write(tmp_path / "images", header(1, *sizes) + bytes(784))
    with pytest.raises(DataError) as caught:
        read_idx(path, (28, 28))
    assert str(caught.value) == f"{path}, offset 8: images of {list(sizes)}, not [28, 28]"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\x1f\x8b\x08" + bytes(20), "offset 0: this is a gzip file"),
        (header(1, 28, 28) + bytes(784), "offset 0: magic bytes 00000803, not 00000801"),
        (bytes((0, 0, 9, 1)) + bytes(5), "offset 0: magic bytes 00000901, not 00000801"),
        (header(0), "offset 4: no items"),
        (header(3)[:6], "offset 6: the file ends within its header"),
        (header(3) + bytes(2), "offset 10: ends early; 3 items take 11 bytes"),
        (header(3) + bytes(4), "offset 11: 1 bytes after the last item"),
    ],
)
def test_a_damaged_label_file_is_refused(tmp_path: Path, content: bytes, error: str) -> None:
    path = write(tmp_path / "labels", content)
    with pytest.raises(DataError) as caught:
        read_idx(path, ())
    assert str(caught.value).startswith(f"{path}, {error}")


@pytest.mark.parametrize("name", source_of("mnist").files)
def test_each_of_the_four_files_is_checked(tmp_path: Path, name: str) -> None:
    path = write_mnist(tmp_path / "data", 20, 10) / "MNIST" / "raw" / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(DataError) as caught:
        data.load(DataConfig(root=str(tmp_path / "data")))
    assert str(caught.value).startswith(f"{path}, offset {len(content) - 1}: ends early")


@pytest.mark.parametrize("count", [1, 19, 21])
def test_as_many_labels_as_images(tmp_path: Path, count: int) -> None:
    folder = write_mnist(tmp_path / "data", 20, 10) / "MNIST" / "raw"
    write(folder / "train-labels-idx1-ubyte", header(count) + bytes(count))
    with pytest.raises(DataError) as caught:
        data.load(DataConfig(root=str(tmp_path / "data")))
    assert str(caught.value) == f"{folder / 'train-labels-idx1-ubyte'}: {count} labels for 20 images"


@pytest.mark.parametrize("count", [2**31, 2**32 - 1])
@pytest.mark.parametrize("shape", [(28, 28), ()], ids=["images", "labels"])
def test_no_forged_count_is_believed(tmp_path: Path, count: int, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "forged", header(count, *shape) + bytes(784))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=f"ends early; {count} items"):
        read_idx(path, shape)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


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


def test_a_fingerprint_is_one_hash_over_shape_names_bytes_and_labels() -> None:
    """Longer than the blocks it is read in; stored fingerprints depend on each byte of this."""
    pixels = np.random.RandomState(2).randint(0, 256, (5000, 1, 2, 3)).astype(np.uint8)
    labels = np.arange(5000) % 3
    split = TensorSplit(torch.from_numpy(pixels), torch.from_numpy(labels))
    text = "([5000, 1, 2, 3], ['a', 'b', 'c'])"
    expected = hashlib.sha256(text.encode() + pixels.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    assert fingerprint(split, ("a", "b", "c")) == expected
    for index in (4095, 4096, 4999):
        other = TensorSplit(split.pixels.clone(), split.labels)
        other.pixels[index, 0, 1, 2] ^= 1
        assert fingerprint(other, ("a", "b", "c")) != expected
        other = TensorSplit(split.pixels, split.labels.clone())
        other.labels[index] = (other.labels[index] + 1) % 3
        assert fingerprint(other, ("a", "b", "c")) != expected


def test_a_fingerprint_is_of_values_not_of_memory() -> None:
    split, names = small_split(), ("a", "b", "c")
    first = fingerprint(split, names)
    assert fingerprint(split.to(torch.device("cpu")), names) == first
    strided = TensorSplit(split.pixels.contiguous(memory_format=torch.channels_last), split.labels)
    assert not strided.pixels.is_contiguous()
    assert fingerprint(strided, names) == first


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_copy_on_the_device_has_the_same_fingerprint_and_statistics() -> None:
    split, names = small_split(), ("a", "b", "c")
    copied = split.to(torch.device("cuda", 0))
    assert fingerprint(copied, names) == fingerprint(split, names)
    assert channel_statistics(copied) == channel_statistics(split)
    assert copied.num_bytes == split.num_bytes


def test_a_copy_on_the_device_takes_as_many_bytes() -> None:
    assert small_split().num_bytes == 5 * 2 * 3 * 4
    with fake_cuda():
        pixels = torch.zeros((5, 2, 3, 4), dtype=torch.uint8)
        copied = TensorSplit(pixels, torch.zeros(5, dtype=torch.int64)).to(torch.device("cuda", 0))
        assert copied.num_bytes == 5 * 2 * 3 * 4


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
