"""Weights to begin with: torchvision's, from a server on 127.0.0.1."""

import gc
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import first_weights
import pytest
import torch
import torchvision.models
from conftest import Bakeoff
from file_server import FileServer
from first_weights import ARCH, DIGITS, ENUM, Evil, assert_loaded, make
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import DataError
from bakeoff.experiment.identity import identity, setting
from bakeoff.models.weights.origin import library_version

# pytest finds a fixture by its name here.
tensors = first_weights.tensors


@pytest.fixture
def imagenet(
    tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    """torchvision's address for the weights leads to 127.0.0.1; its cache folder is empty."""
    path = tmp_path / "served.pth"
    torch.save(tensors, path)
    name = f"/net-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    server = FileServer({name: path.read_bytes()})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(ENUM.value, "url", f"{server.url}{name[1:]}")
    yield server
    server.close()


def cached_file(tmp_path: Path) -> Path:
    return tmp_path / "torch" / "hub" / "checkpoints" / ENUM.url.rpartition("/")[2]


def test_imagenets_weights_are_fetched_once(
    imagenet: FileServer, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    assert_loaded(make("imagenet"), tensors)
    assert cached_file(tmp_path).is_file()
    assert make("imagenet").weights_sha256 == hashlib.sha256(cached_file(tmp_path).read_bytes()).hexdigest()
    requests = imagenet.requests
    assert requests >= 1
    assert_loaded(make("imagenet"), tensors)
    assert imagenet.requests == requests


@pytest.mark.parametrize("fault", ["404", "403", "cut", "empty", "garbage"])
def test_weights_that_cannot_be_had_say_which_file_to_put_where(
    fault: str, imagenet: FileServer, tmp_path: Path
) -> None:
    imagenet.fault = fault
    with pytest.raises(DataError) as caught:
        make("imagenet")
    path = cached_file(tmp_path)
    for part in (
        path.name,
        str(path.parent),
        path.stem.partition("-")[2],
        "model.weights=none",
        "run directory",
    ):
        assert part in str(caught.value), part
    assert not path.exists()
    assert not list(tmp_path.glob("torch/**/*.partial"))
    del caught
    gc.collect()  # a connection that was left open would show here


def test_a_file_of_another_hash_is_refused_from_the_server_and_from_the_cache(
    imagenet: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = imagenet.content
    imagenet.content["/net-0123456789.pth"] = imagenet.content[name]
    monkeypatch.setattr(ENUM.value, "url", f"{imagenet.url}net-0123456789.pth")
    with pytest.raises(DataError, match="cannot be downloaded"):
        make("imagenet")
    path = cached_file(tmp_path)
    path.write_bytes(imagenet.content[name])
    with pytest.raises(DataError, match=r"damaged.*remove it"):
        make("imagenet")


def test_fetched_weights_are_not_unpickled(imagenet: FileServer, tmp_path: Path) -> None:
    """Even with the right hash: a file that somebody else has put there."""
    content = tmp_path / "evil.pth"
    torch.save({"a": Evil(tmp_path / "made")}, content)
    name = f"net-{hashlib.sha256(content.read_bytes()).hexdigest()[:8]}.pth"
    imagenet.content[f"/{name}"] = content.read_bytes()
    ENUM.value.url = f"{imagenet.url}{name}"  # put back by the fixture's own patch
    with pytest.raises(DataError, match="cannot be downloaded"):
        make("imagenet")
    assert not (tmp_path / "made").exists()


def test_the_librarys_name_of_the_weights_is_known_without_it() -> None:
    for arch in torchvision.models.list_models(module=torchvision.models):
        assert library_version("imagenet", arch) == torchvision.models.get_model_weights(arch).DEFAULT.name, (
            arch
        )
    assert library_version("coco", None) == FasterRCNN_ResNet50_FPN_Weights.DEFAULT.name
    assert library_version("imagenet", "no_net") is None
    assert library_version("imagenet", None) is None
    assert library_version("none", ARCH) is None
    assert library_version("run", ARCH) is None


def test_the_librarys_name_is_in_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(weights: str) -> tuple[str, str]:
        values = expand(parse_arguments([*DIGITS, f"model.weights={weights}"]))[0][0].values
        return identity(values, "d"), setting(values, "d")

    before, scratch = known("imagenet"), known("none")
    monkeypatch.setattr("bakeoff.experiment.identity.library_version", lambda weights, arch: None)
    assert known("none") == scratch
    for version in ("IMAGENET1K_V1", "IMAGENET1K_V2"):
        monkeypatch.setattr("bakeoff.experiment.identity.library_version", lambda *_, v=version: v)
        same = version == ENUM.name
        assert [now == then for now, then in zip(known("imagenet"), before, strict=True)] == [same, same]


def test_no_network_is_exit_3(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    code, _, err = bakeoff("train", *DIGITS)
    assert code == 3
    assert err.count("\n") == 1
    assert ENUM.url.rpartition("/")[2] in err
    assert not Path("outputs").exists()
