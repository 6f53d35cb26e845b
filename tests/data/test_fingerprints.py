"""Fingerprints of splits and of files."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_cuda import fake_cuda

from bakeoff.data import fingerprint as fingerprints
from bakeoff.data.splits import TensorSplit, channel_statistics, fingerprint

IMAGES = "t10k-images-idx3-ubyte"


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
