"""IDX files that are right, and files that are not."""

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import idx_bytes, source_of, write_mnist

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.idx import read_idx
from bakeoff.errors import DataError

IMAGES = "t10k-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"


def header(*sizes: int) -> bytes:
    return bytes((0, 0, 8, len(sizes))) + b"".join(size.to_bytes(4, "big") for size in sizes)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


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
