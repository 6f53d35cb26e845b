"""`bakeoff doctor` on Python, packages, torch, devices and the compiler, each made wrong."""

import importlib.metadata
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import doctor_machine
import pytest
import torch
import torchvision
from doctor_machine import broken

from bakeoff.commands import doctor as module
from bakeoff.errors import ConfigError
from bakeoff.machine import runtime

# pytest finds a fixture by its name here.
look = doctor_machine.look
quiet_machine = doctor_machine.quiet_machine


@pytest.mark.parametrize(
    ("version", "good"),
    [((3, 10, 14), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False), ((4, 0, 0), False)],
)
def test_python(look: Any, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], good: bool) -> None:
    fields = {name: getattr(sys, name) for name in ("modules", "stdout", "maxsize")}
    monkeypatch.setattr(module, "sys", SimpleNamespace(**fields, version_info=version))
    result = look()
    assert result.checks["Python"]["found"] == ".".join(map(str, version))
    assert result.code == 0 if good else result.is_missing("Python")


def test_no_configs(look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bakeoff.config.compose.conf_dir", lambda: tmp_path / "conf")
    result = look()
    assert result.is_missing("configs")
    assert result.checks["configs"]["found"] == str(tmp_path / "conf")


@pytest.mark.parametrize("requirement", ["hydra-core>=1.3.8,<1.4", "safetensors>=0.5"])
def test_a_package_is_missing(look: Any, monkeypatch: pytest.MonkeyPatch, requirement: str) -> None:
    name = requirement.partition(">")[0]
    forget(monkeypatch, name)
    result = look()
    assert result.is_missing(name)
    assert result.checks[name]["todo"] == f'pip install "{requirement}"'
    assert name not in result.checks["packages"]["found"]


def test_dev_tools_are_a_note(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "mypy")
    result = look()
    assert result.is_note("dev tools")
    assert result.checks["dev tools"]["found"] == "no mypy"
    assert "./scripts/install --dev" in result.checks["dev tools"]["todo"]


def forget(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    version = importlib.metadata.version

    def of_others(name: str) -> str:
        if name == absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", of_others)


def test_the_packages_are_those_of_the_project() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    needed = tomllib.loads(project.read_text())["project"]["dependencies"]
    own_checks = {line for line in needed if re.match(r"torch(vision)?\b", line)}
    assert len(own_checks) == 2
    assert set(module._PACKAGES) == set(needed) - own_checks


def test_operators_that_do_not_exist(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("operator torchvision::nms does not exist")
    monkeypatch.setattr(torchvision.ops, "nms", broken(error))
    result = look()
    assert result.is_missing("torchvision cpu")
    check = result.checks["torchvision cpu"]
    assert "operator torchvision::nms does not exist" in check["found"]
    assert re.search(r"one index.*pip install .*torch torchvision --index-url", check["todo"])


def test_operators_that_answer_wrong(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.ops, "nms", lambda boxes, *_: torch.arange(len(boxes)))
    assert look().is_missing("torchvision cpu")


def test_torchvision_cannot_be_imported(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    result = look()
    assert result.is_missing("torchvision cpu")
    assert result.checks["cpu"]["state"] == "ok"


def test_torch_cannot_be_imported(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = look()
    assert result.is_missing("torch")  # once, not again for all that needs it
    assert "index" in result.checks["torch"]["todo"]
    rest = {"Python", "configs", "packages", "load", "memory", "compiler", "outputs", "data sets"}
    assert rest <= result.checks.keys()


def test_without_hydra_it_still_reaches_its_end(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bakeoff.config.compose", None)
    result = look()
    assert result.is_missing("configs")
    assert "data sets" in result.checks


@pytest.mark.parametrize(
    ("driver", "built_for", "says", "todo"),
    [
        (None, "13.0", "runs on the CPU", ""),
        (None, None, "runs on the CPU", ""),
        ("570.1", None, "runs on the CPU", "install a torch that is built for CUDA"),
        ("570.1", "13.0", "RuntimeError: the driver is too old", "runs on the CPU; see nvidia-smi"),
    ],
)
def test_no_gpu_is_a_note(
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
    driver: str | None,
    built_for: str | None,
    says: str,
    todo: str,
) -> None:
    monkeypatch.setattr(runtime, "_driver", lambda: driver)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.cuda, "init", broken(RuntimeError("the driver is too old")))
    result = look()
    assert result.is_note("GPU")
    assert says in result.checks["GPU"]["found"]
    assert todo in result.checks["GPU"]["todo"]
    assert bool(todo) == bool(result.checks["GPU"]["todo"])
    assert (driver or "no NVIDIA driver") in result.checks["CUDA"]["found"]
    assert (built_for or "without CUDA") in result.checks["CUDA"]["found"]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has no bf16 of its own."""
    tensor = torch.tensor
    current = ["cuda:0"]

    @contextmanager
    def device(name: object) -> Iterator[None]:
        current.append(str(name))
        yield
        current.pop()

    monkeypatch.setattr(runtime, "_driver", lambda: "570.1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: current[-1] == "cuda:1")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((7 + device.index) * 2**30, 2**34))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Model {device.index}")
    monkeypatch.setattr(torch, "tensor", lambda values, **_: tensor(values))


def test_gpus(look: Any, two_gpus: None) -> None:
    result = look()
    assert (result.code, "GPU" in result.checks) == (0, False)
    assert result.checks["cuda:0"] == {
        "state": "ok",
        "found": "Model 0, no fast bf16, 7.0 GiB free",
        "todo": "",
    }
    assert result.checks["cuda:1"]["found"] == "Model 1, fast bf16, 8.0 GiB free"
    assert result.checks["torchvision cuda:1"]["state"] == "ok"
    assert "driver 570.1" in result.checks["CUDA"]["found"]


def test_a_gpu_that_is_full(look: Any, two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(device: torch.device) -> tuple[int, int]:
        if device.index == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 2**30, 2**34

    monkeypatch.setattr(torch.cuda, "mem_get_info", asked)
    result = look()
    assert result.is_note("cuda:0")
    assert result.checks["cuda:0"]["todo"] == "see nvidia-smi"
    assert result.checks["cuda:1"]["state"] == "ok"


def test_the_cpu(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_cpu_name", lambda: "Model 8086")
    for is_fast, says in ((True, "Model 8086, fast bf16"), (False, "Model 8086, no fast bf16")):
        monkeypatch.setattr(runtime, "has_fast_bf16", lambda _, is_fast=is_fast: is_fast)
        assert look().checks["cpu"]["found"] == says


@pytest.mark.parametrize(
    ("given", "present"),
    [
        (None, "g++"),
        (None, "clang++"),
        (None, "c++"),
        (None, ""),
        ("icpx", "icpx"),
        ("icpx", "g++"),
        ("", "g++"),
    ],
)
def test_compiler_as_a_run_finds_it(
    look: Any, monkeypatch: pytest.MonkeyPatch, given: str | None, present: str
) -> None:
    if given is not None:
        monkeypatch.setenv("CXX", given)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name == present else None)
    result = look()
    try:
        runtime._need_compiler(torch.device("cpu"))
    except ConfigError:
        assert result.is_note("compiler")
        assert "apt-get install g++" in result.checks["compiler"]["todo"]
    else:
        assert result.checks["compiler"] == {"state": "ok", "found": f"/bin/{present}", "todo": ""}
