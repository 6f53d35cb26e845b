"""MNIST's download, from a server on 127.0.0.1 with files made here."""

import gc
import gzip
import hashlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import files_below, write_mnist
from torchvision.datasets import MNIST

from bakeoff import data
from bakeoff.config import DataConfig
from bakeoff.data.fingerprint import MNIST_FILES
from bakeoff.errors import DataError


class Server:
    """Serves gzipped files; `fault` says what goes wrong."""

    def __init__(self, folder: Path) -> None:
        self.content = {
            f"/{name}.gz": gzip.compress((folder / "MNIST" / "raw" / name).read_bytes())
            for name in MNIST_FILES
        }
        self.fault, self.requests = "", 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                outer.requests += 1
                body = outer.content[self.path]
                if outer.fault == "slow":
                    time.sleep(1.0)
                if outer.fault in ("404", "403"):
                    self.send_error(int(outer.fault))
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body[: len(body) // 2] if outer.fault == "cut" else body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(write_mnist(tmp_path / "source"))
    connect = socket.create_connection

    def only_here(address: tuple[str, int], *arguments: object, **options: object) -> socket.socket:
        assert address[0] == "127.0.0.1", address
        return connect(address, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", only_here)
    monkeypatch.setattr(MNIST, "mirrors", [server.url])
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in server.content.items()}
    monkeypatch.setattr(MNIST, "resources", [(f"{name}.gz", md5[f"/{name}.gz"]) for name in MNIST_FILES])
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_missing_files_are_fetched_and_nothing_else_is_left(server: Server, tmp_path: Path) -> None:
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
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    server.fault = fault
    monkeypatch.setattr("bakeoff.data.mnist.CONNECT_SECONDS", 0.3)
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


def test_no_download_is_tried_where_it_could_not_be_kept(server: Server, tmp_path: Path) -> None:
    for root in (tmp_path / "no" / "such" / "data", Path("/proc/data")):
        with pytest.raises(DataError, match="cannot be written"):
            data.load(DataConfig(root=str(root)))
    assert server.requests == 0
