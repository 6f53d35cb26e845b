"""MNIST's download, from a server on 127.0.0.1 with files made here."""

import gc
import signal
import socket
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from conftest import files_below, write_mnist
from file_server import MNIST_FILES, FileServer, server
from torchvision.datasets import MNIST

from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data.download import download
from bakeoff.data.fetching import fetch_file, side_folder
from bakeoff.data.sources import Source
from bakeoff.errors import DataError, InterruptedRunError
from bakeoff.machine.signals import StopSignal

__all__ = ["server"]  # a fixture


def test_missing_files_are_fetched_and_nothing_else_is_left(server: FileServer, tmp_path: Path) -> None:
    root = tmp_path / "new" / "data"
    root.parent.mkdir()
    loaded = data.load(DataConfig(root=str(root)))
    assert len(loaded.test) == 128
    assert files_below(root.parent) == sorted(
        ["data", "data/MNIST", "data/MNIST/raw", *(f"data/MNIST/raw/{name}" for name in MNIST_FILES)]
    )
    requests = server.requests
    data.load(DataConfig(root=str(root)))
    assert server.requests == requests
    assert socket.getdefaulttimeout() is None


# torchvision leaves its sockets to the garbage collector when a download fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["404", "403", "cut", "slow", "checksum"])
def test_a_failed_download_says_what_to_do_and_leaves_nothing(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    server.fault = fault
    monkeypatch.setattr("bakeoff.data.fetching.CONNECT_SECONDS", 0.3)
    if fault == "checksum":
        monkeypatch.setattr(MNIST, "resources", [(f"{name}.gz", "0" * 32) for name in MNIST_FILES])
    root = tmp_path / "new" / "data"
    root.parent.mkdir()
    with pytest.raises(DataError) as caught:
        data.load(DataConfig(root=str(root)))
    text = str(caught.value)
    assert "the download failed (" in text
    assert f"into {root / 'MNIST' / 'raw'}:" in text
    assert "data=digits" in text
    assert all(f"{name} (SHA-256 {digest})" in text for name, digest in MNIST_FILES.items())
    assert files_below(root.parent) == []
    assert socket.getdefaulttimeout() is None
    gc.collect()


def test_no_download_is_tried_where_it_could_not_be_kept(server: FileServer, tmp_path: Path) -> None:
    for root in (tmp_path / "no" / "such" / "data", Path("/proc/data")):
        with pytest.raises(DataError, match="cannot be written"):
            data.load(DataConfig(root=str(root)))
    assert server.requests == 0


# torchvision leaves its sockets to the garbage collector when a download fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["empty", "garbage", "cut chunks"])
def test_an_answer_that_is_no_http_is_a_failed_download(
    server: FileServer, tmp_path: Path, fault: str
) -> None:
    """What a proxy or a login page may give: http.client's own errors are no OSError."""
    server.fault = fault
    root = tmp_path / "new" / "data"
    root.parent.mkdir()
    with pytest.raises(DataError, match=r"the download failed \("):
        data.load(DataConfig(root=str(root)))
    assert files_below(root.parent) == []
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["", "404", "cut"])
def test_a_folder_that_is_there_keeps_what_it_holds(server: FileServer, tmp_path: Path, fault: str) -> None:
    server.fault = fault
    root = tmp_path / "data"
    root.mkdir()
    (root / "mine").write_text("kept")
    if fault:
        with pytest.raises(DataError):
            data.load(DataConfig(root=str(root)))
        assert files_below(root) == ["mine"]
    else:
        data.load(DataConfig(root=str(root)))
        raw = [f"MNIST/raw/{name}" for name in MNIST_FILES]
        assert files_below(root) == sorted(["MNIST", "MNIST/raw", *raw, "mine"])
    assert (root / "mine").read_text() == "kept"
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["", "404"])
def test_the_time_limit_of_sockets_is_put_back(server: FileServer, tmp_path: Path, fault: str) -> None:
    server.fault = fault
    socket.setdefaulttimeout(7.0)
    try:
        with pytest.raises(DataError) if fault else nullcontext():
            data.load(DataConfig(root=str(tmp_path / "data")))
        assert socket.getdefaulttimeout() == 7.0
    finally:
        socket.setdefaulttimeout(None)
    gc.collect()


@pytest.mark.parametrize("missing", list(MNIST_FILES))
def test_any_missing_file_is_fetched(server: FileServer, tmp_path: Path, missing: str) -> None:
    root = write_mnist(tmp_path / "data")
    path = root / "MNIST" / "raw" / missing
    content = path.read_bytes()
    path.unlink()
    assert len(data.load(DataConfig(root=str(root))).test) == 128
    assert path.read_bytes() == content
    assert files_below(root) == sorted(["MNIST", "MNIST/raw", *(f"MNIST/raw/{name}" for name in MNIST_FILES)])


def test_a_file_of_the_users_own_is_not_replaced(server: FileServer, tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "data") / "MNIST" / "raw"
    missing, own = folder / "train-images-idx3-ubyte", folder / "t10k-labels-idx1-ubyte"
    missing.unlink()
    altered = own.read_bytes()[:-1] + b"\x00"
    own.write_bytes(altered)
    loaded = data.load(DataConfig(root=str(tmp_path / "data")))
    assert missing.is_file()
    assert own.read_bytes() == altered
    assert loaded.test.as_arrays()[1][-1] == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_second_mirror_is_tried(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MNIST, "mirrors", [f"{server.url}none/", server.url])
    assert len(data.load(DataConfig(root=str(tmp_path / "data"))).test) == 128
    gc.collect()


def test_what_cannot_be_written_is_not_fetched(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)  # the tests may run as root, who may write anywhere
    with pytest.raises(DataError, match=f"{tmp_path} cannot be written") as caught:
        data.load(DataConfig(root=str(tmp_path / "data")))
    assert all(f"{name} (SHA-256 {digest})" in str(caught.value) for name, digest in MNIST_FILES.items())
    assert server.requests == 0
    assert not (tmp_path / "data").exists()


def test_a_missing_parent_is_not_made(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        data.load(DataConfig(root=str(tmp_path / "no" / "data")))
    assert not (tmp_path / "no").exists()
    assert server.requests == 0


def test_digits_ask_nobody(server: FileServer, tmp_path: Path) -> None:
    assert len(data.load(DataConfig(name="digits", root=str(tmp_path / "no" / "data"))).test) == 400
    assert server.requests == 0


def test_the_guard_of_these_tests_lets_no_other_address_through(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MNIST, "mirrors", ["http://192.0.2.1/"])
    with pytest.raises(AssertionError, match="192"):
        data.load(DataConfig(root=str(tmp_path / "data")))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_files_that_nobody_gives_away_are_asked_for(tmp_path: Path) -> None:
    source = Source("My set", "mine", {"images.npz": "0" * 32})
    with pytest.raises(DataError) as caught:
        download(source, str(tmp_path))
    assert str(caught.value) == (
        f"data.root={tmp_path}: My set is not there and nobody gives it away; put these files into "
        f"{tmp_path / 'mine'}: images.npz (MD5 {'0' * 32}); or use data=digits, which needs no download"
    )
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("fault", ["trickling header", "trickling body", "trickling chunk"])
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("bakeoff.data.fetching._SHORTEST_DEADLINE_SECONDS", 0.5)
    monkeypatch.setattr("bakeoff.data.fetching._SLOWEST_BYTES_PER_SECOND", 1e9)
    server.fault = fault
    (tmp_path / "data").mkdir()
    began = time.monotonic()
    with pytest.raises(DataError, match="did not come within"):
        data.load(DataConfig(root=str(tmp_path / "data")))
    assert time.monotonic() - began < 2.5  # 30 bytes at ten a second
    assert files_below(tmp_path / "data") == []


def test_a_signal_ends_a_download(server: FileServer, tmp_path: Path) -> None:
    server.fault = "trickling header"
    (tmp_path / "data").mkdir()
    stop = StopSignal()
    with stop.caught():
        threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
        with pytest.raises(InterruptedRunError):
            data.load(DataConfig(root=str(tmp_path / "data")))
    assert files_below(tmp_path / "data") == []


@pytest.mark.parametrize("fault", ["", "unannounced"])
def test_a_file_that_is_too_large_is_not_taken(server: FileServer, tmp_path: Path, fault: str) -> None:
    server.fault = fault
    (name, content), *_ = server.content.items()
    path = tmp_path / "got"
    with pytest.raises(RuntimeError, match="is larger than 50 bytes"):
        fetch_file(f"{server.url}{name[1:]}", path, algorithm="md5", digest="", most_bytes=50)
    size = len(content)
    fetch_file(f"{server.url}{name[1:]}", path, algorithm="md5", digest="", most_bytes=size)
    assert path.read_bytes() == content


def test_what_a_killed_download_left_is_removed_and_what_another_one_uses_is_not(
    server: FileServer, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / ".bakeoff-download-dead").mkdir()
    (root / ".bakeoff-download-dead" / "half").write_bytes(b"half")
    with side_folder(root) as other:
        data.load(DataConfig(root=str(root)))
        assert [path.name for path in root.glob(".*")] == [other.name]
    assert list(root.glob(".*")) == []
