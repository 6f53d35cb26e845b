"""A server on 127.0.0.1 for downloads, with faults."""

import gzip
import hashlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import source_of, write_mnist
from torchvision.datasets import MNIST

MNIST_FILES = source_of("mnist").files


class FileServer:
    """Serves files by their path; `fault` says what goes wrong."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.fault, self.requests = "", 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                outer.requests += 1
                if self.path not in outer.content:
                    self.send_error(404)
                    return
                body = outer.content[self.path]
                if outer.fault == "slow":
                    time.sleep(1.0)
                if outer.fault in ("404", "403"):
                    self.send_error(int(outer.fault))
                    return
                if outer.fault in ("empty", "garbage"):
                    self.wfile.write(b"" if outer.fault == "empty" else b"no http at all\r\n\r\n")
                    return
                if outer.fault == "trickling header":
                    self.trickle(b"HTTP/1.0 200 OK\r\nX-Long: " + b"x" * 30)
                    return
                self.send_response(200)
                if outer.fault.startswith("trickling"):
                    if outer.fault == "trickling chunk":
                        self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.trickle(b"0" * 30)
                    return
                if outer.fault == "unannounced":
                    self.end_headers()
                    self.wfile.write(body)
                    return
                if outer.fault == "cut chunks":
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"1000\r\n" + body[:100])
                    return
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body[: len(body) // 2] if outer.fault == "cut" else body)

            def trickle(self, content: bytes) -> None:
                with suppress(OSError):  # the client has left
                    for byte in content:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(0.1)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    folder = source_of("mnist").folder_in(write_mnist(tmp_path / "source"))
    server = FileServer({f"/{name}.gz": gzip.compress((folder / name).read_bytes()) for name in MNIST_FILES})
    connect = socket.create_connection

    def only_here(address: tuple[str, int], *arguments: object, **options: object) -> socket.socket:
        assert address[0] == "127.0.0.1", address
        return connect(address, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", only_here)
    monkeypatch.setenv("no_proxy", "*")  # a proxy of the machine's would be another address
    monkeypatch.setattr(MNIST, "mirrors", [server.url])
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in server.content.items()}
    monkeypatch.setattr(MNIST, "resources", [(f"{name}.gz", md5[f"/{name}.gz"]) for name in MNIST_FILES])
    yield server
    server.close()
