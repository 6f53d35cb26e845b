"""`bakeoff compare` on runs that are right: grouping, figures, formats."""

import csv
import io
import itertools
import json
import math
import os
import pty
import re
import shlex
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff, command, files_below
from run_directories import accuracy_of, make_run

from bakeoff.runs.records import Summary
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.storage import write_atomically


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
    seconds = best["metrics"]["train_seconds"]
    assert (seconds["mean"], seconds["std"]) == (3.0, 1.0)
    margin = 4.302652729911275 / math.sqrt(3)  # Student's t with 2 degrees of freedom
    assert (seconds["low"], seconds["high"]) == (pytest.approx(3 - margin), pytest.approx(3 + margin))
    assert best["metrics"]["parameters"]["mean"] == 1234
    single = worst["metrics"]["accuracy"]
    assert (single["mean"], single["std"]) == (accuracy_of(tree["b"][0]), None)
    assert single["low"] < single["mean"] < single["high"]
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
    accuracy = as_json(bakeoff, str(tmp_path / "runs"))["tables"][0]["settings"][0]["metrics"]["accuracy"]
    interval = f"[{100 * accuracy['low']:.2f}, {100 * accuracy['high']:.2f}]"
    assert f"{statistics.fmean(scores):.2f} {interval}" in row
    assert row.split()[:4] == ["cnn", "none", "3", "a"]
    assert "toy: 60 test images, 5 classes; test scores, mean over n seeds [95 % interval:" in out
    assert "optim.lr" in out
    out = bakeoff("compare", str(tmp_path / "runs"), "--no-statistics")[1]
    assert f"{statistics.fmean(scores):.2f} ± {statistics.stdev(scores):.2f}" in out
    assert "test scores, mean ± standard deviation over n seeds" in out


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


def test_keys_are_shown_only_where_they_tell_settings_of_one_model_apart(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    """What follows from a model's recipe is named in a note, its own keys are not."""
    note = "note: the models' recipes differ in optim.lr (--columns shows them)\n"

    def keys_of_table(root: Path) -> list[str]:
        titles = bakeoff("compare", str(root), "--format", "markdown")[1].splitlines()[2]
        return [title.strip() for title in titles.strip("|").split("|")][9:]

    make_run(tmp_path / "r" / "1", 0, "a", model="cnn", changes={"model.width": 3})
    make_run(tmp_path / "r" / "2", 0, "b", model="vit", changes={"model.heads": 2, "optim.lr": 0.3})
    assert keys_of_table(tmp_path / "r") == []
    assert note in bakeoff("compare", str(tmp_path / "r"))[1]
    assert note in bakeoff("compare", str(tmp_path / "r"), "--no-statistics")[1]
    make_run(tmp_path / "r" / "3", 0, "c", model="vit", changes={"model.heads": 4, "optim.lr": 0.3})
    assert keys_of_table(tmp_path / "r") == ["model.heads"]
    make_run(tmp_path / "r" / "4", 0, "d", model="vit", changes={"model.heads": 4, "optim.lr": 0.1})
    assert keys_of_table(tmp_path / "r") == ["model.heads", "optim.lr"]
    assert "recipes differ" not in bakeoff("compare", str(tmp_path / "r"))[1]


def test_the_network_is_shown_where_the_models_name_does_not_say_it(bakeoff: Bakeoff, tmp_path: Path) -> None:
    def titles(root: Path) -> str:
        return bakeoff("compare", str(root), "--format", "markdown")[1].splitlines()[2]

    changes = {"model.arch": "shufflenet_v2_x0_5"}
    make_run(tmp_path / "r" / "1", 0, "a", model="shufflenet_small", changes=changes)
    make_run(tmp_path / "r" / "2", 0, "b", model="cnn")
    assert "model.arch" not in titles(tmp_path / "r")
    make_run(tmp_path / "r" / "3", 0, "c", model="finetune", changes={"model.arch": "resnet18"})
    assert "model.arch" in titles(tmp_path / "r")


def test_weights_are_shown_by_what_they_are(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """A column of their own; no path of the machine that trained, neither there nor in a name."""
    for number, weights in enumerate(["none", "imagenet", "run:1a2b3c4d"]):
        path = tmp_path / "r" / str(number)
        make_run(path, 0, str(number), model="alexnet", changes={"model.weights": f"/home/me/{number}"})
        summary = json.loads((path / "summary.json").read_text()) | {"weights": weights}
        (path / "summary.json").write_text(json.dumps(summary))
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert {tuple(line.split()[:2]) for line in out.splitlines() if line.startswith(" alexnet")} == {
        ("alexnet", "none"), ("alexnet", "imagenet"), ("alexnet", "run:1a2b3c4d")
    }  # fmt: skip
    settings = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    assert {row["name"] for row in settings} == {
        "alexnet model.weights=none", "alexnet model.weights=imagenet", "alexnet model.weights=run:1a2b3c4d"
    }  # fmt: skip
    for kind in ("table", "markdown", "csv", "json"):
        assert "/home/me" not in bakeoff("compare", str(tmp_path / "r"), "--format", kind)[1]


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
    assert "| a\\|b\\<i>\\`c\\` | none | 1 |" in out


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


# The JSON interface to the letter, and figures against NumPy.


def edit_summary(run: Path, **changes: Any) -> None:
    path = run / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_json_has_the_fields_and_types_of_the_design(
    bakeoff: Bakeoff, tmp_path: Path, tree: dict[str, list[Summary]]
) -> None:
    RunDir.create(tmp_path / "runs" / "x" / "y" / "bad").write_status("failed", 3)
    result = as_json(bakeoff, str(tmp_path / "runs"), code=7)
    assert set(result) == {"schema", "problems", "tables"}
    assert type(result["schema"]) is int
    assert result["problems"] == [{"path": "x/y/bad", "reason": "failed"}]
    for table in result["tables"]:
        assert set(table) >= {"data", "test_fingerprint", "num_images", "num_classes", "settings"}
        for row in table["settings"]:
            kinds = {
                "setting": str, "name": str, "model": str, "weights": str, "changed": dict, "runs": list,
                "seeds": list, "num_runs": int, "metrics": dict,
            }  # fmt: skip
            assert {key: type(row[key]) for key in kinds} == kinds
            assert row["num_runs"] == len(row["runs"]) == len(row["seeds"])
            assert {type(run) for run in row["runs"]} == {str}
            assert {type(seed) for seed in row["seeds"]} == {int}
            assert set(row["metrics"]) >= {"accuracy", "macro_f1", "nll", "train_seconds", "parameters"}
            for estimate in row["metrics"].values():
                if estimate is None:  # not measured
                    continue
                assert set(estimate) >= {"mean", "std", "low", "high"}
                assert type(estimate["mean"]) in (int, float)
                assert (estimate["std"] is None) == (row["num_runs"] == 1)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_means_and_deviations_are_numpys(bakeoff: Bakeoff, tmp_path: Path, count: int) -> None:
    random = np.random.RandomState(count)
    made = [
        make_run(
            tmp_path / "r" / str(seed),
            seed,
            "a",
            error_rate=random.rand() / 2,
            train_seconds=10 * random.rand(),
        )
        for seed in range(count)
    ]
    (row,) = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    values = {
        "accuracy": [summary.test.accuracy for summary in made],
        "macro_f1": [summary.test.macro_f1 for summary in made],
        "nll": [summary.test.nll for summary in made],
        "ece": [summary.test.ece for summary in made],
        "train_seconds": [summary.time.train_seconds for summary in made],
        "parameters": [summary.cost.parameters for summary in made],
    }
    assert (row["num_runs"], row["seeds"]) == (count, list(range(count)))
    for metric, figures in values.items():
        assert row["metrics"][metric]["mean"] == pytest.approx(np.mean(figures), rel=1e-14), metric
        if count == 1:
            assert row["metrics"][metric]["mean"] == figures[0]
            assert row["metrics"][metric]["std"] is None
        else:
            expected = np.std(figures, ddof=1)
            assert row["metrics"][metric]["std"] == pytest.approx(expected, rel=1e-12, abs=1e-15), metric


def test_settings_stand_best_first(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for setting, rate in (("worst", 0.9), ("best", 0.0), ("middle", 0.4)):
        make_run(tmp_path / "r" / setting, 3, setting, model=setting, error_rate=rate)
    rows = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    assert [row["name"] for row in rows] == ["best", "middle", "worst"]
    means = [row["metrics"]["accuracy"]["mean"] for row in rows]
    assert means == sorted(means, reverse=True)
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert out.index(" best ") < out.index(" middle ") < out.index(" worst ")


def test_groups_are_the_stored_settings_and_not_computed_anew(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 1, "an opaque text", changes={"optim.lr": 0.5})
    make_run(tmp_path / "r" / "2", 2, "an opaque text", changes={"optim.lr": 0.25})
    make_run(tmp_path / "r" / "3", 3, "another", changes={"optim.lr": 0.5})
    rows = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    assert {row["setting"]: row["seeds"] for row in rows} == {"an opaque text": [1, 2], "another": [3]}


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        ([("s1", "cnn", {})], {"cnn"}),
        ([("s1", "cnn", {}), ("s2", "vit", {"optim.lr": 0.5})], {"cnn", "vit"}),
        ([("s1", "cnn", {"optim.lr": 0.5}), ("s2", "cnn", {"optim.lr": 0.25})],
         {"cnn optim.lr=0.5", "cnn optim.lr=0.25"}),
        # Only the keys that tell the settings of one model apart, not those that tell the models apart.
        ([("s1", "cnn", {"optim.lr": 0.5}), ("s2", "cnn", {"optim.lr": 0.25}),
          ("s3", "vit", {"optim.lr": 0.5, "trainer.epochs": 77})],
         {"cnn optim.lr=0.5", "cnn optim.lr=0.25", "vit"}),
        ([("s1", "cnn", {"optim.lr": 0.5, "trainer.epochs": 5}), ("s2", "cnn", {"optim.lr": 0.5, "trainer.epochs": 6})],
         {"cnn trainer.epochs=5", "cnn trainer.epochs=6"}),
        ([("123456789", "cnn", {}), ("abcdefghi", "cnn", {})], {"cnn 12345678", "cnn abcdefgh"}),
        # Where the config says the same for two of three, these two get the hash.
        ([("123456789", "cnn", {"optim.lr": 0.5}), ("abcdefghi", "cnn", {"optim.lr": 0.5}),
          ("x", "cnn", {"optim.lr": 0.25})],
         {"cnn optim.lr=0.5 12345678", "cnn optim.lr=0.5 abcdefgh", "cnn optim.lr=0.25"}),
        ([("s1", "cnn", {"optim.name": "sgd"}), ("s2", "cnn", {"optim.name": None})],
         {"cnn optim.name=sgd", "cnn optim.name=null"}),
    ],
)  # fmt: skip
def test_a_name_says_what_tells_settings_apart(
    bakeoff: Bakeoff, tmp_path: Path, runs: list[tuple[str, str, dict[str, Any]]], names: set[str]
) -> None:
    for place, (setting, model, changes) in enumerate(runs):
        make_run(tmp_path / "r" / str(place), 0, setting, model=model, changes=changes)
    rows = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    assert {row["name"] for row in rows} == names


@pytest.mark.parametrize(
    "runs",
    [
        [("aaaaaaaa1", "cnn", {}), ("aaaaaaaa2", "cnn", {})],
        [("s1", "cnn", {"optim.lr": 0.5}), ("s2", "cnn", {"optim.lr": 0.25}), ("s3", "cnn optim.lr=0.5", {})],
        [("12345678x", "cnn", {}), ("abcdefghi", "cnn", {}), ("s3", "cnn 12345678", {})],
    ],
    ids=["settings that begin alike", "a model called like a name", "a model called like a hash"],
)
def test_names_are_unique_whatever_the_settings_are(
    bakeoff: Bakeoff, tmp_path: Path, runs: list[tuple[str, str, dict[str, Any]]]
) -> None:
    for place, (setting, model, changes) in enumerate(runs):
        make_run(tmp_path / "r" / str(place), 0, setting, model=model, changes=changes)
    rows = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    assert len({row["name"] for row in rows}) == len(rows) == len(runs)


def test_changed_leaves_out_what_changes_no_result(bakeoff: Bakeoff, tmp_path: Path) -> None:
    neutral = {"output_dir": "elsewhere", "data.root": "z", "data.residency": "host", "sweep.name": "s"}
    make_run(tmp_path / "r" / "1", 0, "a", changes={"optim.lr": 0.5})
    make_run(tmp_path / "r" / "2", 1, "b", changes=neutral | {"optim.lr": 1.0, "trainer.epochs": 1.0})
    make_run(tmp_path / "r" / "3", 2, "c", changes={"optim.lr": 1, "trainer.epochs": 1, "optim.extra": [1]})
    rows = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    changed = {row["setting"]: row["changed"] for row in rows}
    first = changed["a"].pop("trainer.epochs")
    assert first not in (1, 1.0)
    assert changed == {
        "a": {"optim.lr": 0.5},
        "b": {"optim.lr": 1.0, "trainer.epochs": 1.0},
        "c": {"optim.lr": 1, "trainer.epochs": 1, "optim.extra": [1]},
    }


# Formats.


def test_csv_holds_the_json_unrounded(
    bakeoff: Bakeoff, tmp_path: Path, tree: dict[str, list[Summary]]
) -> None:
    tables = as_json(bakeoff, str(tmp_path / "runs"))["tables"]
    out = bakeoff("compare", str(tmp_path / "runs"), "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    expected = [(table, row) for table in tables for row in table["settings"]]
    assert len(rows) == len(expected) == 3
    for found, (table, row) in zip(rows, expected, strict=True):
        assert (found["data"], found["test_fingerprint"]) == (table["data"], table["test_fingerprint"])
        assert (int(found["num_test_images"]), int(found["num_runs"])) == (
            table["num_images"],
            row["num_runs"],
        )
        assert (found["setting"], found["name"], found["model"]) == (
            row["setting"],
            row["name"],
            row["model"],
        )
        assert found["seeds"].split() == [str(seed) for seed in row["seeds"]]
        for metric, estimate in row["metrics"].items():
            for part in ("mean", "std", "low", "high"):
                cell = found[f"{metric}_{part}"]
                assert (float(cell) if cell else None) == (estimate and estimate[part])


@pytest.mark.parametrize("value", [-0.5, -1, -1e-5, 0.5, 1e300])
def test_a_number_of_a_csv_is_unchanged(bakeoff: Bakeoff, tmp_path: Path, value: float) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", changes={"optim.momentum": value})
    make_run(tmp_path / "r" / "2", 0, "b", changes={"optim.momentum": 0.25})
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "csv")[1]
    cells = {row["setting"]: row["optim.momentum"] for row in csv.DictReader(io.StringIO(out))}
    assert (float(cells["a"]), float(cells["b"])) == (value, 0.25)


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("-0.5", "'-0.5"), ("@sum", "'@sum"), ("\t=1", "'\\x09=1"),
     ("\r=1", "'\\x0d=1"), ("\n=1", "'\\x0a=1"), ('a"b,c', 'a"b,c'), ("a;b", "a;b"), ("a=b", "a=b")],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula(bakeoff: Bakeoff, tmp_path: Path, text: str, cell: str) -> None:
    make_run(tmp_path / "r" / "1", 0, text, model=text, changes={"optim.name": text, "data.name": text})
    make_run(tmp_path / "r" / "2", 0, "b", changes={"optim.name": "sgd"}, model="cnn")
    edit_summary(tmp_path / "r" / "1", data=text, weights=text)
    edit_summary(tmp_path / "r" / "2", data=text)
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "csv")[1]
    rows = list(csv.reader(io.StringIO(out)))
    assert len(rows) == 3
    assert {len(row) for row in rows} == {len(rows[0])}
    everything = [found for row in rows for found in row]
    assert not [found for found in everything if found.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    row = dict(zip(rows[0], rows[1], strict=True))
    if row["model"] == "cnn":
        row = dict(zip(rows[0], rows[2], strict=True))
    assert {row[key] for key in ("data", "setting", "model", "weights", "optim.name", "data.name")} == {cell}


def test_every_row_of_markdown_has_the_same_cells(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for place, model in enumerate(["a|b", "||", "\\|", "`|`", "[x](y)", "<b>", "a\nb", "*x*"]):
        make_run(tmp_path / "r" / str(place), place, str(place), model=model, changes={"optim.name": model})
    RunDir.create(tmp_path / "r" / "x|y").write_status("failed", 1, "a|b <script>\n# head")
    code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", "markdown")
    assert code == 7
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 8
    # A bar is a border unless an odd number of backslashes stands before it.
    borders = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines]
    assert set(borders) == {borders[0]}
    assert "<b>" not in out.replace("\\<b>", "")
    assert "<script>" not in out.replace("\\<script>", "")
    assert [line for line in out.splitlines() if line.startswith("# ")] == []


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "json"])
def test_a_file_holds_what_would_be_printed(bakeoff: Bakeoff, tmp_path: Path, kind: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="é日本")
    RunDir.create(tmp_path / "r" / "2").write_status("diverged", 3, "loss")
    code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", kind)
    assert code == 7
    assert bakeoff("compare", str(tmp_path / "r"), "--format", kind, "-o", str(tmp_path / "f"))[:2] == (7, "")
    assert (tmp_path / "f").read_bytes() == out.encode()
    assert ("diverged: loss" in out) == (kind != "csv")  # a CSV has its problems on stderr


@pytest.mark.parametrize("place", ["missing/f", "folder"])
def test_a_file_that_cannot_be_written_is_exit_4(bakeoff: Bakeoff, tmp_path: Path, place: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    (tmp_path / "folder").mkdir()
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "-o", str(tmp_path / place))
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert str(tmp_path / place) in err


def test_without_a_run_directory_nothing_is_written(bakeoff: Bakeoff, tmp_path: Path) -> None:
    (tmp_path / "r" / "x").mkdir(parents=True)
    (tmp_path / "r" / "x" / "epochs.jsonl").write_text("{}\n")
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "-o", str(tmp_path / "f"))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'r'}: no run directory here")
    assert not (tmp_path / "f").exists()


# Processes: what is loaded, and where the output goes. None of them imports torch.


def started(arguments: list[str], **options: Any) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command(arguments), capture_output=True, check=False, timeout=60, **options)


def test_reading_runs_loads_neither_torch_nor_hydra(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    make_run(tmp_path / "r" / "2", 0, "b", changes={"optim.lr": 0.5, "model._target_": "os.system"})
    script = (
        "import sys; from bakeoff.cli import main\n"
        "for kind in ('table', 'markdown', 'csv', 'json', 'latex'):\n"
        "    assert main(['compare', sys.argv[1], '--format', kind]) == 0\n"
        "names = {'torch', 'torchvision', 'sklearn', 'scipy.stats', 'hydra', 'omegaconf', 'matplotlib', 'pandas'}\n"
        "sys.exit(f'loaded {names & set(sys.modules)}' if names & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "r")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_environment_without_home_or_locale_gives_utf8(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path / "r" / str(seed), seed, "a", model="é日本")
    for environment in ({}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "COLUMNS": "0", "TERM": "dumb"}):
        done = started(["compare", str(tmp_path / "r")], env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert "é日本" in done.stdout.decode()
        assert "───" in done.stdout.decode()


@pytest.mark.parametrize("columns", ["1", "20"])
def test_a_narrow_terminal_does_not_crash(tmp_path: Path, columns: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": columns, "TERM": "xterm"}
    process = subprocess.Popen(
        command(["compare", str(tmp_path / "r")]), stdout=theirs, stderr=subprocess.PIPE, env=environment
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux reports the end of a terminal so
        pass
    os.close(ours)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert len(shown.split()) > 5
    # Fold as it may: the letters are all there, and nothing that acts on the terminal.
    letters = re.sub(rb"\s", b"", bytes(shown))
    assert b"60testimages" in letters
    assert b"\x1b" not in shown


def test_an_output_that_takes_nothing_is_no_bug_of_ours(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    line = shlex.join(command(["compare", str(tmp_path / "r")]))
    full = subprocess.run(["bash", "-c", f"{line} > /dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr.count("\n")) == (4, 1)
    assert "No space left" in full.stderr
    piped = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | true"], capture_output=True, text=True, check=False
    )
    assert (piped.returncode, piped.stderr) == (0, "")


def test_a_closed_output_is_no_bug_of_ours(tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    line = shlex.join(command(["compare", str(tmp_path / "r")]))
    closed = subprocess.run(["bash", "-c", f"{line} >&-"], capture_output=True, text=True, check=False)
    assert closed.returncode in (0, 4), closed.stderr
    assert "bug" not in closed.stderr


# Which runs count.


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, False),
        ({"pid": 1}, False),
        ({"pid": 2**22 + 1}, True),  # above the largest pid of Linux
        ({"host": "elsewhere", "seconds": 0}, False),
        ({"host": "elsewhere", "seconds": 300}, False),
        ({"host": "elsewhere", "seconds": 3600}, True),
        ({"host": "elsewhere", "seconds": -3600}, False),  # the other host's clock is ahead
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
    expected = ["lost", "lost"] if lost else ["running", "queued"]
    assert [problem["reason"].split(":")[0] for problem in problems] == expected


def test_the_summary_wins_over_the_status(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for seed, status in enumerate(["failed", "running", "diverged"]):
        make_run(tmp_path / "r" / status, seed, "a")
        RunDir(tmp_path / "r" / status).write_status(status, 3, "no")
    result = as_json(bakeoff, str(tmp_path / "r"))
    assert result["problems"] == []
    assert result["tables"][0]["settings"][0]["num_runs"] == 3


def test_the_run_that_finished_first_counts(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, beat in (("a", "2026-01-02T00:00:00+00:00"), ("b", "2026-01-01T00:00:00+00:00")):
        make_run(tmp_path / "r" / name, 0, "s", error_rate=0.1 if name == "a" else 0.5)
        path = tmp_path / "r" / name / "status.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"heartbeat": beat}))
    result = as_json(bakeoff, str(tmp_path / "r"))
    assert result["tables"][0]["settings"][0]["runs"] == ["b"]
    assert result["problems"] == [{"path": "a", "reason": "the same run as b"}]


def test_a_run_given_by_two_paths_is_read_once(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(Path("r") / "a", 0, "s")
    edit_summary(Path("r") / "a", identity=None)
    (tmp_path / "link").symlink_to(Path("r").resolve())
    for paths in (["r", "r/a"], ["r", str(Path("r").resolve())], ["r", str(tmp_path / "link")]):
        (row,) = as_json(bakeoff, *paths)["tables"][0]["settings"]
        assert row["num_runs"] == 1, paths


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


def test_a_whole_name_is_no_ambiguous_prefix(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "r"))
    make_run(tmp_path / "r" / "x" / "run", 1, "a")
    make_run(tmp_path / "r" / "y" / "run-2", 2, "b")
    assert as_json(bakeoff, "run")["tables"][0]["settings"][0]["seeds"] == [1]
    code, _, err = bakeoff("compare", "ru")
    assert (code, err.count("\n")) == (2, 1)
    assert "RUN=ru: 2 runs begin so" in err
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


def test_reading_writes_nothing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "a", 0, "a")
    RunDir.create(tmp_path / "r" / "b").write_status("failed", 1)

    def state() -> list[tuple[str, int, int]]:
        paths = sorted((tmp_path / "r").rglob("*"))
        return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]

    before = state()
    for kind in ("table", "markdown", "csv", "json"):
        assert bakeoff("compare", str(tmp_path / "r"), "--format", kind)[0] == 7
    assert state() == before
    assert files_below(Path.cwd()) == []


def test_a_comparison_while_others_write_shows_whole_runs_only(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """Runs appear in the order of `experiment.py`: status, config, predictions, summary."""
    source, root = tmp_path / "source", tmp_path / "r"
    expected = {seed: make_run(source / str(seed), seed, "a").test.accuracy for seed in range(8)}
    contents = {
        seed: {
            name: (source / str(seed) / name).read_bytes()
            for name in ("config.json", "predictions.npz", "summary.json")
        }
        for seed in expected
    }
    root.mkdir()
    stop = threading.Event()

    def write(seed: int) -> None:
        number = 0
        while not stop.is_set() and number < 40:
            run = RunDir.create(root / f"{seed}-{number:03}")
            run.write_status("running", number)
            for name, content in contents[seed].items():
                write_atomically(run.path / name, lambda file, content=content: file.write(content))
            number += 1

    make_run(root / "first", 99, "b")
    threads = [threading.Thread(target=write, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    seen = 0
    try:
        # Longer than 15 times only where the machine is so busy that a writer has not begun.
        for number in itertools.count():
            if number >= 15 and (seen == 8 or number > 200):
                break
            result = as_json(bakeoff, str(root))
            reasons = {problem["reason"].split(":")[0] for problem in result["problems"]}
            assert {reason for reason in reasons if not reason.startswith("the same run as")} <= {"running"}
            for row in result["tables"][0]["settings"]:
                if row["setting"] == "a":
                    accuracies = [expected[seed] for seed in row["seeds"]]
                    assert row["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(accuracies), abs=1e-12)
                    seen = max(seen, row["num_runs"])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen == 8
