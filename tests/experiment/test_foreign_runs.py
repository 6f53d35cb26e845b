"""`resume` of a run directory that somebody else has made: refused with exit code 6, and nothing outside is touched."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import ResumeError
from bakeoff.experiment.resume import resume
from bakeoff.machine.signals import StopSignal


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """As far as a resume looks at it before it reads data."""
    (job,), _ = expand(parse_arguments(["data=digits", f"output_dir={tmp_path}"]))
    folder = tmp_path / "run"
    (folder / "attempts" / "0001").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"schema": 1, **job.values}))
    texts = ("identity", "setting", "weights", "data", "device", "precision")
    first = {**dict.fromkeys(texts, "x"), "config": {}, "code": {}, "threads": 1}
    record = {"first": first | {"versions": {}, "resumed_from": None}, "pid": 0}
    (folder / "attempts" / "0001" / "attempt.json").write_text(json.dumps(record))
    return folder


def refused(run: Path) -> str:
    before = sorted(str(path) for path in run.parent.rglob("*"))
    with pytest.raises(ResumeError) as raised:
        resume(run, StopSignal())
    assert sorted(str(path) for path in run.parent.rglob("*")) == before
    return str(raised.value)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_the_run_itself_comes_as_far_as_its_config(run: Path) -> None:
    assert "changed since it began: seed=0 (it began with None), " in refused(run)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda values: values.pop("trainer"), "trainer"),
        (lambda values: values.update(data=5), "data"),
        (lambda values: values["data"].update(_target_="os.system"), "data._target_"),
        (lambda values: values["trainer"].update(keep_checkpoints=None), "trainer.keep_checkpoints"),
        (lambda values: values["model"].update(name="../../x"), "model.name"),
    ],
)
def test_a_config_that_is_none(run: Path, change: Callable[[dict[str, Any]], object], told: str) -> None:
    edit(run / "config.json", change)
    assert f"config.json: {told}" in refused(run)


@pytest.mark.parametrize(
    "name",
    [
        "identity",
        "setting",
        "weights",
        "data",
        "device",
        "config",
        "code",
        "threads",
        "versions",
        "resumed_from",
    ],
)
def test_a_start_that_says_something_else_than_a_start_does(run: Path, name: str) -> None:
    edit(run / "attempts" / "0001" / "attempt.json", lambda values: values["first"].update({name: [1]}))
    assert "nothing says what it began with" in refused(run)


@pytest.mark.parametrize("name", ["config.json", "status.json", "attempts/0001/attempt.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "huge", "folder"])
def test_files_that_are_none(run: Path, name: str, kind: str) -> None:
    path = run / name
    kept = run.parent / "own.json"
    kept.write_bytes(path.read_bytes() if path.exists() else b"{}")
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(kept)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 2**40)
    refused(run)


@pytest.mark.parametrize("name", ["attempts", "checkpoints"])
def test_folders_that_are_links(run: Path, name: str) -> None:
    elsewhere = run.parent / "elsewhere"
    if (run / name).exists():
        (run / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (run / name).symlink_to(elsewhere)
    told = refused(run)
    assert name == "checkpoints" or "a link or a file has the folder's name" in told
