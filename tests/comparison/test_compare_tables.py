"""`bakeoff compare` on runs that are right: groups, names, figures, and the JSON to the letter."""

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_runs import as_json, make_tree
from conftest import Bakeoff
from run_directories import accuracy_of, make_run

from bakeoff.runs.records import Summary
from bakeoff.runs.rundir import RunDir


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, list[Summary]]:
    return make_tree(tmp_path / "runs")


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


def test_names_fall_back_to_the_settings_hash(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "aaaaaaaaaaaa")
    make_run(tmp_path / "r" / "2", 0, "bbbbbbbbbbbb")
    make_run(tmp_path / "r" / "3", 0, "cccccccccccc", model="vit")
    names = {row["name"] for row in as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]}
    assert names == {"cnn aaaaaaaa", "cnn bbbbbbbb", "vit"}


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
