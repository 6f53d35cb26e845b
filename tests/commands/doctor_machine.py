"""A machine on which nothing is wrong, and what `doctor --json` says of it, for the tests of doctor."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from bakeoff.commands.doctor import doctor
from bakeoff.machine import runtime

SECTIONS = [
    "Python", "bakeoff", "configs", "packages", "torch", "torchvision cpu", "cpu", "CUDA", "OpenMP",
    "compiler", "cores", "load", "memory", "outputs", "cache", "data", "data sets",
]  # fmt: skip


class Result(NamedTuple):
    code: int
    checks: dict[str, dict[str, str]]
    ok: bool

    def is_missing(self, name: str) -> bool:
        """Whether this one is missing, nothing else is, and the exit code says so."""
        missing = [found for found, check in self.checks.items() if check["state"] == "MISSING"]
        return missing == [name] and self.code == 4 and not self.ok

    def is_note(self, name: str) -> bool:
        return self.checks[name]["state"] == "note" and self.code == 0 and self.ok


@pytest.fixture(autouse=True)
def quiet_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and a machine on which nothing is wrong."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("BAKEOFF_DATA", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.0, 9.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runtime, "_driver", lambda: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**30))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name == "g++" else None)
    return folder


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `doctor --json`; names must be unique, or a script could not look a check up."""

    def run() -> Result:
        code = doctor(["--json"])
        found = json.loads(capsys.readouterr().out)
        assert found["schema"] == 1
        checks = {check.pop("name"): check for check in found["checks"]}
        assert len(checks) == len(found["checks"])
        return Result(code, checks, found["ok"])

    return run


def broken(error: Exception) -> Any:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function
