"""`bakeoff compare` on runs that are right: grouping, figures, formats."""

import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from run_directories import accuracy_of, make_run

from bakeoff.records import Summary
from bakeoff.rundir import RunDir


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, list[Summary]]:
    """Two settings with three seeds and one, and a third on other test images."""
    root = tmp_path / "runs"
    made: dict[str, list[Summary]] = {"a": [], "b": [], "c": []}
    for seed in range(3):
        made["a"].append(
            make_run(root / "x" / f"a{seed}", seed, "a", error_rate=0.1, train_seconds=2.0 + seed)
        )
    made["b"].append(make_run(root / "b0", 5, "b", changes={"optim.lr": 0.25}, error_rate=0.4))
    made["c"].append(make_run(root / "c0", 0, "c", test_split="t1", count=50))
    return made


def as_json(bakeoff: Bakeoff, *arguments: str, code: int = 0) -> dict[str, Any]:
    found, out, _ = bakeoff("compare", *arguments, "--format", "json")
    assert found == code
    return dict(json.loads(out))


def test_json_has_one_table_a_test_set_and_one_row_a_setting(
    bakeoff: Bakeoff, tmp_path: Path, tree: dict[str, list[Summary]]
) -> None:
    result = as_json(bakeoff, str(tmp_path / "runs"))
    assert result["schema"] == 1
    assert result["problems"] == []
    first, second = result["tables"]
    assert (first["test_fingerprint"], second["test_fingerprint"]) == ("t0", "t1")
    assert (first["data"], first["num_images"], first["num_classes"]) == ("toy", 60, 5)
    best, worst = first["settings"]
    assert (best["setting"], worst["setting"]) == ("a", "b")
    assert (best["name"], worst["name"]) == ("cnn optim.lr=0.001", "cnn optim.lr=0.25")
    assert worst["changed"] == {"optim.lr": 0.25}
    assert (best["runs"], best["seeds"], best["num_runs"]) == (["a0", "a1", "a2"], [0, 1, 2], 3)
    scores = [accuracy_of(summary) for summary in tree["a"]]
    accuracy = best["metrics"]["accuracy"]
    assert accuracy["mean"] == pytest.approx(statistics.fmean(scores), rel=1e-12)
    assert accuracy["std"] == pytest.approx(statistics.stdev(scores), rel=1e-12)
    assert best["metrics"]["train_seconds"] == {"mean": 3.0, "std": 1.0}
    assert best["metrics"]["parameters"]["mean"] == 1234
    assert worst["metrics"]["accuracy"] == {"mean": accuracy_of(tree["b"][0]), "std": None}
    assert worst["metrics"]["nll"]["mean"] == tree["b"][0].test.nll


def test_names_fall_back_to_the_settings_hash(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "aaaaaaaaaaaa")
    make_run(tmp_path / "r" / "2", 0, "bbbbbbbbbbbb")
    make_run(tmp_path / "r" / "3", 0, "cccccccccccc", model="vit")
    names = {row["name"] for row in as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]}
    assert names == {"cnn aaaaaaaa", "cnn bbbbbbbb", "vit"}


def test_the_terminal_table_shows_percent_spread_and_n(
    bakeoff: Bakeoff, tmp_path: Path, tree: dict[str, list[Summary]]
) -> None:
    code, out, _ = bakeoff("compare", str(tmp_path / "runs"))
    assert code == 0
    scores = [100 * accuracy_of(summary) for summary in tree["a"]]
    row = next(line for line in out.splitlines() if "0.001" in line)
    assert f"{statistics.fmean(scores):.2f} ± {statistics.stdev(scores):.2f}" in row
    assert row.split()[:2] == ["cnn", "3"]
    assert "toy: 60 test images, 5 classes; test scores, mean ± standard deviation over n seeds" in out
    assert "optim.lr" in out


@pytest.mark.parametrize("columns", ["1", "40", "80"])
def test_a_piped_table_is_never_cut(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: Any, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for number in range(2):
        make_run(tmp_path / "r" / str(number), 0, str(number), model=f"{'long' * 40}{number}")
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert f"{'long' * 40}1" in out


def test_many_changed_keys_share_a_column(bakeoff: Bakeoff, tmp_path: Path) -> None:
    changes = {
        "optim.lr": 0.3,
        "optim.momentum": 0.1,
        "optim.name": "sgd",
        "trainer.epochs": 9,
        "data.root": "z",
    }
    make_run(tmp_path / "r" / "1", 0, "a")
    make_run(tmp_path / "r" / "2", 0, "b", changes=changes | {"trainer.batch_size": 7})
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert "differs in" in out
    assert "optim.lr=0.3 optim.momentum=0.1 optim.name=sgd trainer.batch_size=7 trainer.epochs=9" in out
    assert "data.root" not in out


def test_csv_keeps_numbers_and_defuses_formulas(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number, model in enumerate(["=1+1", "+x", "-0.5", "@sum", "plain"]):
        make_run(
            tmp_path / "r" / str(number), number, str(number), model=model, changes={"optim.lr": 0.1 + number}
        )
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["model"] for row in rows} == {"'=1+1", "'+x", "'-0.5", "'@sum", "plain"}
    assert {float(row["optim.lr"]) for row in rows} == {0.1, 1.1, 2.1, 3.1, 4.1}
    assert all(0 <= float(row["accuracy_mean"]) <= 1 and row["accuracy_std"] == "" for row in rows)


def test_markdown_escapes_what_would_break_a_table(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="a|b<i>`c`")
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "markdown")[1]
    assert "| a\\|b\\<i>\\`c\\` | 1 |" in out


@pytest.mark.parametrize("name", ["[red]x[/red]", "[x]", "[/]", "a\\[b"])
def test_rich_markup_in_names_is_shown_as_it_is(bakeoff: Bakeoff, tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model=name)
    assert f" {name} " in bakeoff("compare", str(tmp_path / "r"))[1]


def test_a_file_is_written_also_when_runs_failed(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    RunDir.create(tmp_path / "r" / "2").write_status("failed", 3, "no more disk")
    code, out, _ = bakeoff(
        "compare", str(tmp_path / "r"), "--format", "json", "-o", str(tmp_path / "out.json")
    )
    assert (code, out) == (7, "")
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["problems"] == [{"path": "2", "reason": "failed: no more disk"}]
    assert len(result["tables"]) == 1


@pytest.mark.parametrize(
    ("status", "error", "reason", "code"),
    [
        ("failed", "no memory", "failed: no memory", 7),
        ("diverged", "step 3", "diverged: step 3", 7),
        ("interrupted", None, "interrupted", 7),
        ("finished", None, "not finished: no summary.json", 7),
        ("running", None, "running: step 4", 0),
        ("queued", None, "queued: step 4", 0),
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
    (path / "status.json").write_text(json.dumps(status | {"host": "elsewhere"}))
    assert as_json(bakeoff, str(tmp_path / "r"))["problems"][0]["reason"].startswith("running")


def test_the_same_run_twice_counts_once(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name in ("1", "2"):
        make_run(tmp_path / "r" / name, 0, "a")
    result = as_json(bakeoff, str(tmp_path / "r"))
    assert result["problems"] == [{"path": "2", "reason": "the same run as 1"}]
    assert result["tables"][0]["settings"][0]["runs"] == ["1"]


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
    assert "2 runs begin so" in err
    assert bakeoff("compare", "xyz")[0] == 2


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


def test_two_hundred_runs_are_quick(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number in range(200):
        make_run(tmp_path / "r" / str(number), number, f"s{number % 10}")
    start = time.perf_counter()
    assert (
        sum(row["num_runs"] for row in as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]) == 200
    )
    assert time.perf_counter() - start < 3
