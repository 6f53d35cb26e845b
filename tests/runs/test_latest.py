"""`latest` is the last run that has finished; a newer one that has not is named."""

import json
import os
import socket
from pathlib import Path

import pytest
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.errors import ConfigError
from bakeoff.runs.liveness import process_start
from bakeoff.runs.locate import find_run, resolve


def begun(run: Path, at: float, status: str | None = None, **more: object) -> Path:
    """A run directory whose config was written at some time; finished, or with a status."""
    run.mkdir(parents=True, exist_ok=True)
    if not (run / "config.json").exists():
        (run / "config.json").write_text("{}")
    if status is None and not (run / "summary.json").exists():
        (run / "summary.json").write_text("{}")
    elif status is not None:
        (run / "status.json").write_text(json.dumps({"status": status} | more))
    os.utime(run / "config.json", (at, at))
    return run


@pytest.fixture
def notes() -> list[str]:
    return []


def test_the_last_finished_run_and_not_the_newest_directory(tmp_path: Path, notes: list[str]) -> None:
    begun(tmp_path / "b", 100.0)
    last = begun(tmp_path / "a", 200.0)
    begun(tmp_path / "c", 150.0, "failed")
    assert find_run("latest", tmp_path, notes.append) == last
    assert resolve("latest", tmp_path) == last
    assert notes == []  # what failed before it is no news
    newer = begun(tmp_path / "d", 300.0, "diverged")
    assert find_run("latest", tmp_path, notes.append) == last
    assert notes == [
        f"note: latest is {last}, the last finished run; the newer {newer} has not finished (diverged)"
    ]


def test_runs_of_a_sweep_are_told_apart_by_their_start(tmp_path: Path) -> None:
    """Their configs are all written before the first of them starts."""
    for name, at in (("a", 100.0), ("b", 300.0), ("c", 200.0)):
        (begun(tmp_path / name, 50.0) / "environment.json").write_text("{}")
        os.utime(tmp_path / name / "environment.json", (at, at))
    assert find_run("latest", tmp_path).name == "b"


def test_a_newer_run_that_runs_is_told_from_one_that_died(tmp_path: Path, notes: list[str]) -> None:
    begun(tmp_path / "a", 100.0)
    alive = {"host": socket.gethostname(), "pid": os.getpid(), "process_started": process_start(os.getpid())}
    begun(tmp_path / "b", 200.0, "running", **alive)
    find_run("latest", tmp_path, notes.append)
    begun(tmp_path / "b", 200.0, "running", **alive | {"process_started": "another boot 1"})
    find_run("latest", tmp_path, notes.append)
    (tmp_path / "b" / "status.json").unlink()
    find_run("latest", tmp_path, notes.append)
    assert [note.rpartition("finished ")[2] for note in notes] == [
        "(running)",
        "(its process is gone)",
        "(it has no status)",
    ]


def test_where_none_has_finished_that_is_the_error(tmp_path: Path) -> None:
    begun(tmp_path / "a", 100.0, "failed")
    newest = begun(tmp_path / "b", 200.0, "in\nterrupted")
    with pytest.raises(ConfigError) as raised:
        find_run("latest", tmp_path)
    assert str(raised.value) == (
        f"run latest: none of the 2 runs below {tmp_path} has finished; the newest is {newest} "
        "(in\\x0aterrupted)"
    )


def test_compare_takes_the_word_too_and_keeps_its_output_clean(bakeoff: Bakeoff) -> None:
    root = Path("outputs")
    make_run(root / "one")
    begun(root / "one", 100.0)
    begun(root / "two", 200.0, "failed")
    code, out, err = bakeoff("compare", "latest", "--format", "json")
    assert code == 0
    assert [table["settings"][0]["runs"] for table in json.loads(out)["tables"]] == [["one"]]
    assert err.startswith("note: latest is outputs/one, the last finished run; the newer outputs/two has not")
