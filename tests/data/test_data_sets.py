"""Each data set's loader on small files in its official format; altered and truncated ones are refused."""

import gc
import gzip
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import official_files
import pytest
import torch
from conftest import Bakeoff, files_below, idx_bytes, source_of
from file_server import FileServer, server
from official_files import NAMES, NUM_TEST, NUM_TRAIN, make_official, serve, write
from torchvision.datasets import CIFAR10, CIFAR100, EMNIST, KMNIST, QMNIST, SVHN, FashionMNIST

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.idx import INT32, read_gzipped_idx
from bakeoff.errors import DataError

__all__ = ["server"]  # a fixture
CLASS_NAMES = {
    "fashion_mnist": ("T-shirt/top", "Ankle boot"),
    "kmnist": ("o", "wo"),
    "emnist": ("0", "t"),
    "qmnist": ("0", "9"),
    "cifar10": ("airplane", "truck"),
    "cifar100": ("thing 0", "thing 99"),
    "svhn": ("0", "9"),
}


def test_our_table_is_torchvisions() -> None:
    for name, kind in (("fashion_mnist", FashionMNIST), ("kmnist", KMNIST)):
        assert source_of(name).files == dict(kind.resources)
    qmnist = QMNIST.resources["train"] + QMNIST.resources["test"]
    assert source_of("qmnist").files == {url.rpartition("/")[2]: md5 for url, md5 in qmnist}
    assert source_of("emnist").files == {"gzip.zip": EMNIST.md5}
    for name, kind in (("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        listed = dict(kind.train_list + kind.test_list) | {kind.meta["filename"]: kind.meta["md5"]}
        assert source_of(name).files == listed
        assert source_of(name).folder == kind.base_folder
    listed = {file: md5 for _, file, md5 in (SVHN.split_list["train"], SVHN.split_list["test"])}
    assert source_of("svhn").files == listed
    for name, kind in (
        ("fashion_mnist", FashionMNIST),
        ("kmnist", KMNIST),
        ("emnist", EMNIST),
        ("qmnist", QMNIST),
    ):
        assert source_of(name).folder == f"{kind.__name__}/raw"


@pytest.mark.parametrize("name", NAMES)
def test_labels_counts_and_images_are_as_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = write(name, tmp_path)
    make_official(name, tmp_path, monkeypatch)
    loaded = data.load(DataConfig(name=name, root=str(tmp_path), val_fraction=0.0))
    assert (loaded.class_names[0], loaded.class_names[-1]) == CLASS_NAMES[name]
    assert loaded.val is None
    for split, part, count in ((loaded.train, "train", NUM_TRAIN), (loaded.test, "test", NUM_TEST)):
        pixels, labels = split.as_arrays()
        expected_pixels, expected_labels = parts[part]
        assert len(split) == count
        assert np.array_equal(labels, expected_labels)
        assert np.array_equal(pixels[0], expected_pixels[0])
        assert np.array_equal(pixels[-1], expected_pixels[-1])
        assert np.array_equal(pixels, expected_pixels)


@pytest.mark.parametrize("name", NAMES)
def test_the_validation_split_holds_back_its_share(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(name, tmp_path)
    make_official(name, tmp_path, monkeypatch)
    loaded = data.load(DataConfig(name=name, root=str(tmp_path)))
    assert loaded.val is not None
    assert (len(loaded.train), len(loaded.val)) == (54, 6)


class Canary:
    """A pickle that would leave a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("PWNED",))


@pytest.mark.parametrize("fault", ["truncated", "altered", "one more byte", "empty", "pickle"])
@pytest.mark.parametrize("name", NAMES)
def test_another_content_is_refused_before_it_is_opened(
    name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(name, tmp_path)
    make_official(name, tmp_path, monkeypatch)
    source = source_of(name)
    for file_name in source.files:
        path = source.folder_in(tmp_path) / file_name
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(
            {
                "truncated": content[:-1],
                "altered": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
                "one more byte": content + b"\0",
                "empty": b"",
                "pickle": pickle.dumps(Canary()),
            }[fault]
        )
        with pytest.raises(DataError) as caught:
            data.load(DataConfig(name=name, root=str(tmp_path)))
        assert str(caught.value).startswith(f"{path}: MD5 ")
        assert "not the official" in str(caught.value)
        assert not Path("PWNED").exists()
        path.write_bytes(content)
    assert data.load(DataConfig(name=name, root=str(tmp_path))).name == name


def test_a_whole_run_says_exit_3_in_one_line(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("cifar10", tmp_path / "d")
    make_official("cifar10", tmp_path / "d", monkeypatch)
    (tmp_path / "d" / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"x")
    code, _, err = bakeoff("train", "data=cifar10", f"data.root={tmp_path / 'd'}")
    assert code == 3
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.usefixtures("pictures_if_slow")
@pytest.mark.parametrize("name", NAMES)
def test_a_run_from_files_to_table(
    name: str, bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`data=NAME` with its own augmentation, any image shape, through to the comparison."""
    write(name, tmp_path / "d")
    make_official(name, tmp_path / "d", monkeypatch)
    code, out, err = bakeoff(
        "train", f"data={name}", f"data.root={tmp_path / 'd'}", "model=cnn_small", "trainer.epochs=1"
    )
    assert (code, err) == (0, "")
    assert "54 training, 6 validation and 20 test images" in out
    code, out, _ = bakeoff("compare")
    assert code == 0
    assert f"{name}: 20 test images" in out


@pytest.mark.parametrize(
    ("split", "first", "names"),
    [
        ("letters", 1, ("a", "z")),
        ("byclass", 0, ("0", "z")),
        ("digits", 0, ("0", "9")),
        ("mnist", 0, ("0", "9")),
    ],
)
def test_emnists_splits(
    split: str, first: int, names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letters are numbered from 1 in the files; every number has its own letter here."""
    count = {"letters": 26, "byclass": 62}.get(split, 10)
    random = np.random.RandomState(3)
    labels = np.arange(2 * count) % count
    parts = {
        part: (random.randint(0, 256, (len(labels), 1, 28, 28)).astype(np.uint8), labels)
        for part in ("train", "test")
    }
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "gzip.zip").write_bytes(official_files.emnist_zip(parts, split, first))
    make_official("emnist", tmp_path, monkeypatch)
    loaded = data.load(DataConfig(name="emnist", root=str(tmp_path), emnist_split=split, val_fraction=0.0))
    assert (loaded.class_names[0], loaded.class_names[-1], len(loaded.class_names)) == (*names, count)
    assert np.array_equal(loaded.train.as_arrays()[1], labels)
    assert np.array_equal(loaded.train.as_arrays()[0], parts["train"][0])
    with pytest.raises(DataError, match="emnist-balanced-train"):
        data.load(DataConfig(name="emnist", root=str(tmp_path)))


def test_labels_out_of_range_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("kmnist", tmp_path)
    path = tmp_path / "KMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.array([0] * 19 + [10]))))
    make_official("kmnist", tmp_path, monkeypatch)
    with pytest.raises(DataError, match="index 19: label 10, allowed are 0 to 9"):
        data.load(DataConfig(name="kmnist", root=str(tmp_path)))


def test_the_wide_labels_of_qmnist_are_read_as_big_endian() -> None:
    table = np.array([[3, -1, 70_000, 0, 0, 0, 0, 0], [9, 1, 2, 3, 4, 5, 6, 7]])
    header = bytes((0, 0, 12, 2)) + (2).to_bytes(4, "big") + (8).to_bytes(4, "big")
    content = gzip.compress(header + table.astype(">i4").tobytes())
    assert read_gzipped_idx("x", content, (8,), INT32).tolist() == table.tolist()
    with pytest.raises(DataError, match="x, offset 0: magic bytes 00000c02, not 00000802"):
        read_gzipped_idx("x", content, (8,))
    with pytest.raises(DataError, match="x: no whole gzip file"):
        read_gzipped_idx("x", content[:-3], (8,), INT32)


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_is_known_before_the_files_are_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep's parent names directories before the first child downloads."""
    write(name, tmp_path / "there")
    make_official(name, tmp_path / "there", monkeypatch)
    there = data_fingerprint(name, str(tmp_path / "there"))
    assert there == data_fingerprint(name, str(tmp_path / "nowhere"))
    others = {data_fingerprint(other, str(tmp_path)) for other in NAMES if other != name}
    assert there not in others


# Downloads


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["", "404", "cut"])
@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_fetched_whole_or_not_at_all(
    name: str, fault: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = write(name, tmp_path / "made")
    make_official(name, tmp_path / "made", monkeypatch)
    server.content = serve(name, tmp_path / "made", server.url, monkeypatch)
    server.fault = fault
    config = DataConfig(name=name, root=str(tmp_path / "new" / "data"), val_fraction=0.0)
    (tmp_path / "new").mkdir()
    if fault:
        with pytest.raises(DataError, match=r"the download failed \(") as caught:
            data.load(config)
        source = source_of(name)
        assert str(source.folder_in(config.root)) in str(caught.value)
        assert all(f"{file} (MD5 {md5})" in str(caught.value) for file, md5 in source.files.items())
        assert files_below(tmp_path / "new") == []
    else:
        loaded = data.load(config)
        assert np.array_equal(loaded.test.as_arrays()[0], parts["test"][0])
        source = source_of(name)
        below = [path for path in files_below(Path(config.root)) if (Path(config.root) / path).is_file()]
        prefix = "" if source.folder == "." else f"{source.folder}/"
        assert below == sorted(f"{prefix}{file}" for file in source.files)
        assert not Path("/tmp/escaped-absolute").exists()
        assert not list(tmp_path.rglob("escaped"))
    gc.collect()


def _load(name: str, root: str, barrier: "multiprocessing.synchronize.Barrier", results: object) -> None:
    # A test before this one may have used two threads. The second is not in a forked process, where torch
    # would wait for it for ever.
    torch.set_num_threads(1)
    barrier.wait()
    loaded = data.load(DataConfig(name=name, root=root))
    results.put(len(loaded.test))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_eight_processes_at_once_download_once(
    name: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "mnist":
        write(name, tmp_path / "made")
        make_official(name, tmp_path / "made", monkeypatch)
        server.content = serve(name, tmp_path / "made", server.url, monkeypatch)
    num_files = len(server.content)
    context = multiprocessing.get_context("fork")  # they inherit the patched tables
    barrier, results = context.Barrier(8), context.Queue()
    root = str(tmp_path / "data")
    workers = [context.Process(target=_load, args=(name, root, barrier, results)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert sum(results.get() for _ in workers) == 8 * (128 if name == "mnist" else NUM_TEST)
    # A look (HEAD) and a fetch (GET) for each file, and not one more.
    assert server.requests == num_files
    assert not list(tmp_path.glob(".bakeoff-download-*"))


def test_a_mirror_that_never_answers_is_left_for_the_next(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from torchvision.datasets import MNIST

    monkeypatch.setattr("bakeoff.data.fetching.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{deaf.getsockname()[1]}/", server.url])
        began = time.monotonic()
        assert len(data.load(DataConfig(root=str(tmp_path / "data"))).test) == 128
        assert time.monotonic() - began < 30
    gc.collect()


def test_torch_reads_nothing_but_the_named_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels beyond the classes of the meta file are an error, not an index out of range later."""
    write("cifar100", tmp_path)
    folder = tmp_path / "cifar-100-python"
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["a", "b"]}))
    make_official("cifar100", tmp_path, monkeypatch)
    with pytest.raises(DataError, match="cifar100, index 2: label 2, allowed are 0 to 1"):
        data.load(DataConfig(name="cifar100", root=str(tmp_path)))
    assert torch.get_default_dtype() == torch.float32
