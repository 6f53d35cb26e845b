"""What `auto` became: runs of one setting on other devices, or in another precision, are rows of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import as_json, edit_summary
from conftest import Bakeoff
from run_directories import make_run

CPU = {"device": "cpu", "precision": "fp32", "threads": 2}
GPU = {"device": "cuda", "precision": "bf16", "threads": 2}


def made(root: Path, name: str, resolved: Any, seed: int = 0, setting: str = "s", **options: Any) -> None:
    make_run(root / name, seed, setting, **options)
    edit_summary(root / name, resolved=resolved)


def test_one_identity_on_two_devices_is_two_runs_in_two_rows(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for seed in range(2):
        made(tmp_path, f"cpu{seed}", CPU, seed, error_rate=0.1)
        made(tmp_path, f"gpu{seed}", GPU, seed, error_rate=0.4)
    made(tmp_path, "vit", CPU, setting="v", model="vit", error_rate=0.2)
    result = as_json(bakeoff, str(tmp_path))
    assert result["problems"] == []
    rows = {row["name"]: row for row in result["tables"][0]["settings"]}
    assert {name: (row["setting"], row["runs"], row["resolved"]) for name, row in rows.items()} == {
        "cnn (cpu, fp32)": ("s:cpu:fp32", ["cpu0", "cpu1"], {"device": "cpu", "precision": "fp32"}),
        "cnn (cuda, bf16)": ("s:cuda:bf16", ["gpu0", "gpu1"], {"device": "cuda", "precision": "bf16"}),
        "vit": ("v", ["vit"], {"device": "cpu", "precision": "fp32"}),
    }
    keys = {row["setting"] for row in rows.values()}
    pairs = [(pair["a"], pair["b"]) for pair in result["tables"][0]["pairs"] if pair["metric"] == "nll"]
    assert {key for pair in pairs for key in pair} == keys
    assert len(set(pairs)) == 3
    (pair,) = (
        pair
        for pair in result["tables"][0]["pairs"]
        if pair["metric"] == "nll" and "v" not in (pair["a"], pair["b"])
    )
    assert "precision: fp32 against bf16" in pair["confounders"]
    for kind in ("table", "markdown", "latex", "csv"):
        out = bakeoff("compare", str(tmp_path), "--format", kind)[1]
        assert "cnn (cpu, fp32)" in out
        assert "cnn (cuda, bf16)" in out


def test_a_baseline_is_one_of_the_rows(bakeoff: Bakeoff, tmp_path: Path) -> None:
    made(tmp_path, "cpu", CPU)
    made(tmp_path, "gpu", GPU)
    for name in ("cnn (cuda, bf16)", "s:cuda:bf16"):
        pairs = as_json(bakeoff, str(tmp_path), "--baseline", name)["tables"][0]["pairs"]
        assert {(pair["a"], pair["b"]) for pair in pairs} == {("s:cpu:fp32", "s:cuda:bf16")}
    code, _, error = bakeoff("compare", str(tmp_path), "--baseline", "cnn")
    assert code == 2
    assert "2 configurations are meant; give one by its number in the table (1, 2)" in error


def test_runs_are_chosen_by_what_was_resolved(bakeoff: Bakeoff, tmp_path: Path) -> None:
    made(tmp_path, "cpu", CPU)
    made(tmp_path, "gpu", GPU)
    for where in ("resolved.device == 'cuda'", "resolved.precision == 'bf16' and resolved.threads == '2'"):
        (row,) = as_json(bakeoff, str(tmp_path), "--where", where)["tables"][0]["settings"]
        assert (row["setting"], row["runs"]) == ("s:cuda:bf16", ["gpu"])


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (CPU, CPU | {"precision": "bf16"}, {"cnn (cpu, fp32)", "cnn (cpu, bf16)"}),
        (CPU, CPU | {"device": "mps"}, {"cnn (cpu, fp32)", "cnn (mps, fp32)"}),
        (CPU, None, {"cnn"}),  # an older version: it may be alike, and no other is known
        (CPU, {"device": 3, "precision": ["x"], "threads": True}, {"cnn"}),
        (CPU, {"device": "a\x1b[31m", "precision": "fp32\n", "threads": -1}, {"cnn"}),
    ],
)
def test_which_runs_of_a_setting_share_a_row(
    bakeoff: Bakeoff, tmp_path: Path, first: Any, second: Any, names: set[str]
) -> None:
    made(tmp_path, "a", first, 0)
    made(tmp_path, "b", second, 1)
    result = as_json(bakeoff, str(tmp_path))
    assert {row["name"] for row in result["tables"][0]["settings"]} == names


def test_of_two_kinds_the_unknown_is_a_third(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, resolved in (("a", CPU), ("b", GPU), ("c", None)):
        made(tmp_path, name, resolved)
    rows = as_json(bakeoff, str(tmp_path))["tables"][0]["settings"]
    assert {row["name"] for row in rows} == {"cnn (cpu, fp32)", "cnn (cuda, bf16)", "cnn (unknown)"}
    assert len({row["setting"] for row in rows}) == 3


def test_older_runs_are_known_by_their_environment(bakeoff: Bakeoff, tmp_path: Path) -> None:
    made(tmp_path, "a", None)
    made(tmp_path, "b", GPU)
    environment = {"device": "cpu", "precision": "fp32", "threads": 2}
    (tmp_path / "a" / "environment.json").write_text(json.dumps(environment))
    (tmp_path / "b" / "environment.json").write_text(json.dumps(environment))  # the summary wins
    rows = as_json(bakeoff, str(tmp_path))["tables"][0]["settings"]
    assert {row["name"]: row["runs"] for row in rows} == {
        "cnn (cpu, fp32)": ["a"],
        "cnn (cuda, bf16)": ["b"],
    }
    (tmp_path / "b" / "summary.json").unlink()
    (tmp_path / "a" / "environment.json").write_text(json.dumps(environment | {"device": "cuda:0"}))
    (row,) = as_json(bakeoff, str(tmp_path), code=7)["tables"][0]["settings"]
    assert row["resolved"] == {"device": "cuda", "precision": "fp32"}


def test_another_number_of_threads_is_the_same_row_and_another_run(bakeoff: Bakeoff, tmp_path: Path) -> None:
    made(tmp_path, "a", CPU)
    made(tmp_path, "b", CPU | {"threads": 1}, error_rate=0.4)  # bits differ, so results may
    result = as_json(bakeoff, str(tmp_path))
    assert result["problems"] == [{"path": "a", "reason": "seed 0 was trained again: b counts"}]
    assert [row["setting"] for row in result["tables"][0]["settings"]] == ["s"]


def test_keys_and_names_are_unique_whatever_others_are_called(bakeoff: Bakeoff, tmp_path: Path) -> None:
    made(tmp_path, "a", CPU)
    made(tmp_path, "b", GPU)
    made(tmp_path, "c", CPU, setting="s:cuda:bf16", model="cnn (cuda, bf16)")
    rows = as_json(bakeoff, str(tmp_path))["tables"][0]["settings"]
    assert len({row["setting"] for row in rows}) == len({row["name"] for row in rows}) == 3


# the same predictions


def test_settings_with_the_same_predictions_are_named(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for setting in ("a", "b"):
        for seed in range(3):
            make_run(tmp_path / f"{setting}{seed}", seed, setting, model=f"net{setting}")
    make_run(tmp_path / "c0", 7, "c", model="netc")
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    told = [note for note in table["notes"] if "the same predictions" in note]
    assert told == ["neta, netb: the same predictions: a copy, or a key without effect"]
    assert {pair["difference"] for pair in table["pairs"] if {pair["a"], pair["b"]} == {"a", "b"}} == {0}


def test_one_copied_run_is_named(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for setting, seeds in (("a", (0, 1)), ("b", (1, 2))):
        for seed in seeds:
            make_run(tmp_path / f"{setting}{seed}", seed, setting, model=f"net{setting}")
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    told = [note for note in table["notes"] if "the same predictions" in note]
    assert told == ["neta, netb: the same predictions in some of their runs: a copy, or a key without effect"]
