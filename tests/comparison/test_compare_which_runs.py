"""Which runs `bakeoff compare` finds, and which of them count: unfinished, lost, doubled, older."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from compared_runs import as_json, edit_summary
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.runs.rundir import RunDir


@pytest.mark.parametrize(
    ("status", "error", "reason", "code"),
    [
        ("failed", "no memory", "failed: no memory", 7),
        ("diverged", "step 3", "diverged: step 3", 7),
        ("interrupted", None, "interrupted", 7),
        ("finished", None, "not finished: no summary.json", 7),
        ("running", None, "running: step 4", 0),
        ("queued", None, "queued: not started", 0),
        ("pruned", "far behind", "pruned: far behind", 0),
    ],
)
def test_unfinished_runs_are_listed(
    bakeoff: Bakeoff, tmp_path: Path, status: str, error: str | None, reason: str, code: int
) -> None:
    make_run(tmp_path / "r" / "good", 0, "a")
    RunDir.create(tmp_path / "r" / "other").write_status(status, 4, error)
    result = as_json(bakeoff, str(tmp_path / "r"), code=code)
    (problem,) = result["problems"]
    assert problem["path"] == "other"
    assert problem["reason"].startswith(reason)
    assert result["tables"][0]["settings"][0]["num_runs"] == 1
    # Only where it can help is a person told how to go on.
    assert ("bakeoff resume" in bakeoff("compare", str(tmp_path / "r"))[1]) == (status == "interrupted")


def test_a_dead_process_is_a_lost_run(bakeoff: Bakeoff, tmp_path: Path) -> None:
    path = tmp_path / "r" / "other"
    RunDir.create(path).write_status("running", 4)
    status = json.loads((path / "status.json").read_text())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for change in ({"pid": dead.pid}, {"host": "elsewhere", "heartbeat": "2020-01-01T00:00:00+00:00"}):
        (path / "status.json").write_text(json.dumps(status | change))
        (problem,) = as_json(bakeoff, str(tmp_path / "r"), code=7)["problems"]
        assert problem["reason"].startswith("lost: no sign of life since")
        assert "bakeoff resume RUN goes on" in bakeoff("compare", str(tmp_path / "r"))[1]
    (path / "status.json").write_text(json.dumps(status | {"host": "elsewhere"}))
    assert as_json(bakeoff, str(tmp_path / "r"))["problems"][0]["reason"].startswith("running")


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, False),
        ({"pid": 1}, True),  # a living process, but not the one that began the run
        ({"pid": 1, "process_started": None}, False),  # an older version did not say when it began
        ({"pid": 1, "process_started": None, "heartbeat": "2000-01-01T00:00:00+00:00"}, True),
        ({"pid": True, "process_started": None}, True),
        ({"process_started": "another boot 1"}, True),
        ({"pid": 2**22 + 1}, True),  # above the largest pid of Linux
        ({"pid": 2**80}, True),
        ({"host": "elsewhere", "seconds": 0}, False),
        ({"host": "elsewhere", "seconds": 300}, False),
        ({"host": "elsewhere", "seconds": 3600}, True),
        ({"host": "elsewhere", "seconds": -3600}, False),  # the other host's clock is ahead
        ({"host": "elsewhere", "heartbeat": "2999-01-01T00:00:00+00:00"}, True),
        ({"host": "elsewhere", "pid": None, "seconds": 0}, False),
        ({"host": None, "seconds": 3600}, True),
        ({"host": "elsewhere", "heartbeat": None}, True),
        ({"host": "elsewhere", "heartbeat": "yesterday"}, True),
        ({"host": "elsewhere", "heartbeat": "2020-01-01T00:00:00"}, True),  # without a time zone
        ({"host": "elsewhere", "heartbeat": "2020-01-01T00:00:00Z"}, True),
        ({"host": "elsewhere", "heartbeat": 1e18}, True),
    ],
    ids=str,
)
def test_which_running_run_is_lost(
    bakeoff: Bakeoff, tmp_path: Path, change: dict[str, Any], lost: bool
) -> None:
    for name, status in (("one", "running"), ("two", "queued")):
        RunDir.create(tmp_path / "r" / name).write_status(status, 4)
        path = tmp_path / "r" / name / "status.json"
        change = dict(change)
        seconds = change.pop("seconds", None)
        if seconds is not None:
            change["heartbeat"] = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    problems = as_json(bakeoff, str(tmp_path / "r"), code=7 if lost else 0)["problems"]
    assert [problem["path"] for problem in problems] == ["one", "two"]
    expected = ["lost" if lost else "running", "queued"]  # what waits in a sweep is never lost
    assert [problem["reason"].split(":")[0] for problem in problems] == expected


def test_the_queued_runs_of_a_sweep_are_one_line(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "good", 0, "a")
    for name in ("a/one", "b/one", "b/two", "b/three"):
        RunDir.create(tmp_path / "r" / name).write_status("queued", 0)
    RunDir.create(tmp_path / "r" / "b" / "four").write_status("failed", 0)
    problems = as_json(bakeoff, str(tmp_path / "r"), code=7)["problems"]
    assert {problem["path"] for problem in problems} == {"a/one", "b/one", "b/two", "b/three", "b/four"}
    lines = ["a/one: queued: not started", "b/four: failed", "b: 3 runs are queued: not started"]
    code, out, _ = bakeoff("compare", str(tmp_path / "r"))
    assert code == 7
    assert out.partition("not in the table:\n")[2] == "".join(f"  {line}\n" for line in lines)
    for form in ("markdown", "latex"):
        out = bakeoff("compare", str(tmp_path / "r"), "--format", form)[1]
        assert [out.count(line) for line in lines] == [1, 1, 1], form
    (tmp_path / "r" / "b" / "four" / "status.json").unlink()
    (tmp_path / "r" / "b" / "four").rmdir()
    assert bakeoff("compare", str(tmp_path / "r"))[0] == 0
    out = bakeoff("prune", str(tmp_path / "r"))[1]
    assert f"left alone {tmp_path / 'r' / 'b'}: 3 runs are queued: not started" in out


def test_the_summary_wins_over_the_status(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for seed, status in enumerate(["failed", "running", "diverged"]):
        make_run(tmp_path / "r" / status, seed, "a")
        RunDir(tmp_path / "r" / status).write_status(status, 3, "no")
    result = as_json(bakeoff, str(tmp_path / "r"))
    assert result["problems"] == []
    assert result["tables"][0]["settings"][0]["num_runs"] == 3


def test_a_run_given_by_two_paths_is_read_once(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(Path("r") / "a", 0, "s")
    edit_summary(Path("r") / "a", identity=None)
    (tmp_path / "link").symlink_to(Path("r").resolve())
    for paths in (["r", "r/a"], ["r", str(Path("r").resolve())], ["r", str(tmp_path / "link")]):
        (row,) = as_json(bakeoff, *paths)["tables"][0]["settings"]
        assert row["num_runs"] == 1, paths


def test_what_is_searched(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = tmp_path / "r"
    make_run(root / "1" / "2" / "3" / "4" / "5" / "six", 0, "a")
    make_run(root / "1" / "2" / "3" / "4" / "5" / "6" / "seven", 0, "b")
    make_run(root / ".hidden" / "run", 0, "c")
    make_run(root / "datasets" / "run", 0, "d")
    make_run(root / "1" / "2" / "3" / "4" / "5" / "six" / "inside", 0, "e")
    make_run(tmp_path / "elsewhere" / "run", 0, "f")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    (rows,) = (table["settings"] for table in as_json(bakeoff, str(root))["tables"])
    assert [row["runs"] for row in rows] == [["six"]]


def test_several_paths_are_searched(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number in range(3):
        make_run(tmp_path / f"r{number}" / "x" / "run", number, "s")
    result = as_json(bakeoff, str(tmp_path / "r0"), str(tmp_path / "r2" / "x" / "run"))
    assert result["tables"][0]["settings"][0]["seeds"] == [0, 2]


def test_the_outputs_folder_is_the_place_to_look(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(Path("outputs") / "a", 1, "s")
    make_run(Path("others") / "b", 2, "s")
    assert as_json(bakeoff)["tables"][0]["settings"][0]["seeds"] == [1]
    monkeypatch.setenv("BAKEOFF_OUTPUTS", "others")
    assert as_json(bakeoff)["tables"][0]["settings"][0]["seeds"] == [2]


def test_a_run_is_named_by_path_prefix_or_latest(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "r"))
    for place, name in enumerate(["101010-cnn", "101011-cnn", "101011-vit"]):
        make_run(tmp_path / "r" / name, place, str(place))
        os.utime(tmp_path / "r" / name / "config.json", (1000 - place, 1000 - place))
    for word, expected in (("101010", "101010-cnn"), ("latest", "101010-cnn"), ("101011-v", "101011-vit")):
        assert as_json(bakeoff, word)["tables"][0]["settings"][0]["runs"] == [expected]
    assert as_json(bakeoff, str(tmp_path / "r" / "101011-cnn"))["tables"][0]["settings"][0]["seeds"] == [1]
    code, _, err = bakeoff("compare", "101011")
    assert code == 2
    assert "2 runs have names that begin with it" in err
    assert bakeoff("compare", "xyz")[0] == 2


def test_a_whole_name_is_no_ambiguous_prefix(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "r"))
    make_run(tmp_path / "r" / "x" / "run", 1, "a")
    make_run(tmp_path / "r" / "y" / "run-2", 2, "b")
    assert as_json(bakeoff, "run")["tables"][0]["settings"][0]["seeds"] == [1]
    code, _, err = bakeoff("compare", "ru")
    assert (code, err.count("\n")) == (2, 1)
    assert "run ru: 2 runs have names that begin with it" in err
    code, _, err = bakeoff("compare", "rnu-2")
    assert code == 2
    assert "did you mean run-2?" in err


@pytest.mark.parametrize("mark", ["summary.json", "status.json", "config.json"])
def test_any_of_three_files_makes_a_run_directory(bakeoff: Bakeoff, tmp_path: Path, mark: str) -> None:
    make_run(tmp_path / "r" / "good", 0, "a")
    (tmp_path / "r" / "x").mkdir()
    (tmp_path / "r" / "x" / mark).write_text("{}")
    make_run(tmp_path / "r" / "x" / "below", 0, "b")
    result = as_json(bakeoff, str(tmp_path / "r"), code=7)
    assert [problem["path"] for problem in result["problems"]] == ["x"]
    assert [row["setting"] for row in result["tables"][0]["settings"]] == ["a"]


def test_older_runs_without_optional_fields_are_read(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    path = tmp_path / "r" / "1" / "summary.json"
    summary = json.loads(path.read_text())
    for name in ("time", "cost", "speed", "weights", "identity", "fingerprint", "val", "family"):
        del summary[name]
    del summary["test"]["per_class"], summary["test"]["ece"], summary["test"]["num_no_answer"]
    path.write_text(json.dumps(summary))
    for name in ("status.json", "config.yaml", "overrides.yaml", "predictions.npz"):
        (tmp_path / "r" / "1" / name).unlink()
    (table,) = as_json(bakeoff, str(tmp_path / "r"))["tables"]
    (row,) = table["settings"]
    assert (table["test_fingerprint"], row["weights"], row["metrics"]["parameters"]) == (
        "unknown",
        "unknown",
        None,
    )
    assert "unknown" in bakeoff("compare", str(tmp_path / "r"))[1]
