"""`bakeoff doctor` on the machine's load, its variables, folders, room and data sets."""

import errno
import os
import re
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import doctor_machine
import pytest
from conftest import files_below, sets_with_files, source_of
from doctor_machine import broken

from bakeoff.data.sets import find_set, set_names

# pytest finds a fixture by its name here.
look = doctor_machine.look
quiet_machine = doctor_machine.quiet_machine


@pytest.mark.parametrize(("load", "state"), [(2.0, "ok"), (2.1, "note")])
def test_load(look: Any, monkeypatch: pytest.MonkeyPatch, load: float, state: str) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    result = look()
    assert result.code == 0
    assert result.checks["load"]["state"] == state
    assert result.checks["load"]["found"] == f"{load} programs running or waiting on average, on 4 cores"
    assert ("times" in result.checks["load"]["todo"]) == (state == "note")


def test_variables(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OMP_", "GOMP_"))]:
        monkeypatch.delenv(name)
    assert look().checks["OpenMP"]["found"] == "settings of the threads library: none is set"
    for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT", "NOT_OMP_X"):
        monkeypatch.setenv(name, "3")
    assert look().checks["OpenMP"]["found"].endswith(": GOMP_SPINCOUNT=3, OMP_NUM_THREADS=3")


def test_outputs_below_a_folder_that_is_not_there_yet(
    look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "a" / "b" / "c"))
    before = files_below(tmp_path)
    assert look().checks["outputs"]["state"] == "ok"
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("below", ["", "runs/today"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_in_the_way_of_outputs(
    look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, below: str
) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(place / below))
    result = look()
    assert result.is_missing("outputs")
    assert result.checks["outputs"]["found"].startswith(f"{place} cannot be written: No")
    assert "BAKEOFF_OUTPUTS" in result.checks["outputs"]["todo"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_outputs_without_permission(look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(closed / "runs"))
    assert look().is_missing("outputs")


@pytest.mark.parametrize(
    ("variable", "name", "state"),
    [
        ("BAKEOFF_OUTPUTS", "outputs", "MISSING"),
        ("BAKEOFF_DATA", "data", "note"),
        ("XDG_CACHE_HOME", "cache", "note"),
    ],
)
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written(
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    name: str,
    state: str,
    number: int,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setenv(variable, str(closed / "below"))
    make = tempfile.NamedTemporaryFile

    def refusing(**options: Any) -> Any:
        error = OSError(number, os.strerror(number), str(closed))
        if options["dir"] == closed and number != errno.ENOSPC:
            raise error
        file = make(**options)
        if options["dir"] == closed:  # a full disk still makes empty files
            file.write = broken(error)  # type: ignore[method-assign]
        return file

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refusing)
    result = look()
    assert result.checks[name]["found"] == f"{closed} cannot be written: {os.strerror(number)}"
    assert variable in result.checks[name]["todo"]
    assert files_below(closed) == []
    assert result.is_missing(name) if state == "MISSING" else result.is_note(name)


@pytest.mark.parametrize("name", ["outputs", "data"])
@pytest.mark.parametrize(("num_bytes", "state"), [(2 * 2**30, "ok"), (2 * 2**30 - 1, "note")])
def test_room(
    look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, num_bytes: int, state: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setenv(f"BAKEOFF_{name.upper()}", str(disk / "below"))
    free = {disk: num_bytes}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free.get(path, 2**40)))
    result = look()
    assert result.code == 0
    assert result.checks[name]["state"] == state
    assert "2.0 GiB free" in result.checks[name]["found"]
    assert {key for key in ("outputs", "data", "cache") if result.checks[key]["state"] == "note"} <= {name}


def test_data_sets(look: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needs_no_files = [name for name in set_names() if (source := find_set(name).SOURCE) and not source.files]
    assert "digits" in needs_no_files
    result = look()
    assert result.is_note("not found")
    assert all(f"{name} (" in result.checks["not found"]["found"] for name in sets_with_files())
    assert result.checks["not found"]["found"].startswith("in data: ")
    assert "mnist (MNIST/raw), " in result.checks["not found"]["found"]

    root = tmp_path / "sets"
    for name in ("mnist", "svhn", "cifar10"):
        source_of(name).folder_in(root).mkdir(parents=True, exist_ok=True)
        for file in source_of(name).files:
            (source_of(name).folder_in(root) / file).touch()
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    monkeypatch.setenv("BAKEOFF_DATA", str(root))
    result = look()
    assert result.checks["data sets"]["found"] == ", ".join(sorted([*needs_no_files, "mnist", "svhn"]))
    assert result.is_note("cifar10")
    assert result.checks["cifar10"]["found"] == f"6 of 7 files in {root / 'cifar-10-batches-py'}"
    absent = result.checks["not found"]["found"]
    assert re.findall(r"(\w+) \(", absent) == [
        name for name in sets_with_files() if name not in ("mnist", "svhn", "cifar10")
    ]


def test_all_data_sets_there(look: Any) -> None:
    for source in map(source_of, sets_with_files()):
        source.folder_in("data").mkdir(parents=True, exist_ok=True)
        for file in source.files:
            (source.folder_in("data") / file).touch()
    result = look()
    assert result.checks["data sets"]["found"] == ", ".join(
        name for name in set_names() if find_set(name).SOURCE
    )
    assert "not found" not in result.checks
