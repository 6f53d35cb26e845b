"""Which of several runs counts: of one identity, of one configuration and seed, with and without predictions."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import as_json, edit_summary
from conftest import Bakeoff
from run_directories import make_run


def set_time(run: Path, heartbeat: str | None) -> None:
    path = run / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"heartbeat": heartbeat}))


def raise_scores(run: Path) -> None:
    """A better result than the run had, which nothing bears out."""
    test = json.loads((run / "summary.json").read_text())["test"]
    edit_summary(run, test=test | {"accuracy": 1.0, "macro_f1": 1.0, "nll": 0.001})
    (run / "predictions.npz").unlink()


def reasons(result: dict[str, Any]) -> dict[str, str]:
    return {problem["path"]: problem["reason"] for problem in result["problems"]}


def rows_of(result: dict[str, Any]) -> dict[str, list[str]]:
    return {row["setting"]: row["runs"] for table in result["tables"] for row in table["settings"]}


# one identity


@pytest.mark.parametrize("options", [[], ["--no-statistics"]])
def test_the_same_run_twice_counts_once(bakeoff: Bakeoff, tmp_path: Path, options: list[str]) -> None:
    for name in ("1", "2"):
        make_run(tmp_path / "r" / name, 0, "a")
    result = as_json(bakeoff, str(tmp_path / "r"), *options)
    assert result["problems"] == [{"path": "2", "reason": "the same run as 1"}]
    assert rows_of(result) == {"a": ["1"]}


def test_of_the_same_results_the_run_that_finished_first_counts(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, beat in (("a", "2026-01-02T00:00:00+00:00"), ("b", "2026-01-01T00:00:00+00:00")):
        make_run(tmp_path / "r" / name, 0, "s")
        set_time(tmp_path / "r" / name, beat)
    result = as_json(bakeoff, str(tmp_path / "r"))
    assert rows_of(result) == {"s": ["b"]}
    assert reasons(result) == {"a": "the same run as b"}


@pytest.mark.parametrize("options", [[], ["--no-statistics"]])
def test_of_other_results_under_one_identity_none_counts(
    bakeoff: Bakeoff, tmp_path: Path, options: list[str]
) -> None:
    root = tmp_path / "r"
    make_run(root / "mine", 0, "s", error_rate=0.5)
    make_run(root / "theirs", 0, "s", error_rate=0.1)
    make_run(root / "copy", 0, "s", error_rate=0.1)
    make_run(root / "seed1", 1, "s")
    set_time(root / "theirs", "2020-01-01T00:00:00+00:00")  # an earlier heartbeat is easily written
    result = as_json(bakeoff, str(root), *options, code=7)
    assert rows_of(result) == {"s": ["seed1"]}
    claim = "claims to be the same run as {}, with other results; neither counts, remove the wrong one"
    assert reasons(result) == {
        "mine": claim.format("theirs"),
        "theirs": claim.format("mine"),
        "copy": claim.format("theirs"),
    }


@pytest.mark.parametrize(
    ("environment", "deterministic", "is_explained"),
    [
        ({"device_name": "another"}, False, True),
        ({"torch": "2.11.0"}, False, True),
        ({}, False, False),
        ({"host": "another"}, False, True),
        ({"cpu_capability": "AVX2"}, False, True),
        ({"device": "cuda"}, False, True),
        ({"device": "cuda"}, True, False),
    ],
    ids=str,
)
def test_bits_that_are_not_promised_make_the_newest_run_count(
    bakeoff: Bakeoff, tmp_path: Path, environment: dict[str, str], deterministic: bool, is_explained: bool
) -> None:
    root = tmp_path / "r"
    for name, error_rate in (("old", 0.5), ("new", 0.4)):
        make_run(root / name, 0, "s", error_rate=error_rate)
        set_time(root / name, f"2026-01-0{1 + (name == 'new')}T00:00:00+00:00")
        own = environment if name == "new" or "device" in environment else {}
        known = {"device": "cpu", "device_name": "one", "torch": "2.14.1", "host": "h"} | own
        (root / name / "environment.json").write_text(json.dumps(known))
        config = json.loads((root / name / "config.json").read_text())
        config["trainer"] = {"deterministic": deterministic}
        (root / name / "config.json").write_text(json.dumps(config))
    result = as_json(bakeoff, str(root), code=0 if is_explained else 7)
    if is_explained:
        assert rows_of(result) == {"s": ["new"]}
        assert reasons(result) == {"old": "seed 0 was trained again: new counts"}
    else:
        assert set(reasons(result)) == {"old", "new"}


@pytest.mark.parametrize("change", [{"setting": "other"}, {"cost": {"parameters": 1}}, {"seed": 9}], ids=str)
def test_other_facts_under_one_identity_are_other_results(
    bakeoff: Bakeoff, tmp_path: Path, change: dict[str, Any]
) -> None:
    for name in ("1", "2"):
        make_run(tmp_path / "r" / name, 0, "s")
    edit_summary(tmp_path / "r" / "2", **change)
    assert set(reasons(as_json(bakeoff, str(tmp_path / "r"), code=7))) == {"1", "2"}


@pytest.mark.parametrize("options", [[], ["--no-statistics"]])
def test_checked_predictions_win_over_a_claim(bakeoff: Bakeoff, tmp_path: Path, options: list[str]) -> None:
    root = tmp_path / "r"
    for name in ("claim", "mine"):
        make_run(root / name, 0, "s", error_rate=0.3)
    raise_scores(root / "claim")
    set_time(root / "claim", "2020-01-01T00:00:00+00:00")
    result = as_json(bakeoff, str(root), *options, code=7)
    assert rows_of(result) == {"s": ["mine"]}
    claim = (
        "claims to be the same run as mine, with other results and no predictions to check them; remove it"
    )
    assert reasons(result) == {"claim": claim}
    # Without its predictions a copy is a copy all the same.
    make_run(root / "copy", 0, "s", error_rate=0.3)
    (root / "copy" / "predictions.npz").unlink()
    assert reasons(as_json(bakeoff, str(root), *options, code=7))["copy"] == "the same run as mine"


def test_runs_that_rated_other_numbers_of_images_at_once_are_no_forgeries(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    root = tmp_path / "r"
    for day, (name, size) in enumerate([("old", 256), ("new", 7)], start=1):
        make_run(root / name, 0, "s", error_rate=0.1 * day)
        set_time(root / name, f"2026-01-0{day}T00:00:00+00:00")
        edit_summary(
            root / name,
            resolved={"device": "cpu", "precision": "fp32", "threads": 1, "eval_batch_size": size},
        )
    assert rows_of(as_json(bakeoff, str(root))) == {"s": ["new"]}


def test_what_nothing_bears_out_is_last_whatever_the_table_is_sorted_by(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    root = tmp_path / "r"
    make_run(root / "mine", 0, "mine", error_rate=0.3)
    make_run(root / "claim", 0, "claim", error_rate=0.1)
    (root / "claim" / "predictions.npz").unlink()
    for options in ([], ["--sort", "accuracy"], ["--sort", "accuracy:asc"], ["--sort", "nll"]):
        assert list(rows_of(as_json(bakeoff, str(root), *options))) == ["mine", "claim"], options
    assert list(rows_of(as_json(bakeoff, str(root), "--sort", "accuracy", "--top", "1"))) == ["mine"]


def test_a_copy_of_a_run_that_does_not_count_says_which_one_does(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = tmp_path / "r"
    for day, (name, error_rate) in enumerate([("first", 0.2), ("copy", 0.2), ("newest", 0.3)], start=1):
        make_run(root / name, 0, "s", error_rate=error_rate)
        set_time(root / name, f"2026-01-0{day}T00:00:00+00:00")
    edit_summary(root / "newest", identity="after a change of the code")
    result = as_json(bakeoff, str(root))
    assert rows_of(result) == {"s": ["newest"]}
    told = "seed 0 was trained again: newest counts"
    assert reasons(result) == {"first": told, "copy": told}


# one configuration and seed


def seeds_again(root: Path) -> None:
    """Two settings, three seeds, each trained three times: as after changes of the code."""
    for setting, error_rate in (("a", 0.05), ("b", 0.4)):
        for seed, again in itertools.product(range(3), range(3)):
            path = root / f"{setting}{seed}-{again}"
            make_run(path, seed, setting, error_rate=error_rate)
            edit_summary(path, identity=path.name)


def test_a_seed_that_is_trained_again_is_no_other_seed(bakeoff: Bakeoff, tmp_path: Path) -> None:
    seeds_again(tmp_path / "r")
    for run in (tmp_path / "r").iterdir():  # the middle one is the newest
        set_time(run, f"2026-01-0{ {'0': 1, '1': 3, '2': 2}[run.name[-1]] }T00:00:00+00:00")
    result = as_json(bakeoff, str(tmp_path / "r"))
    (table,) = result["tables"]
    assert [(row["num_runs"], row["seeds"]) for row in table["settings"]] == [(3, [0, 1, 2])] * 2
    assert rows_of(result) == {name: [f"{name}{seed}-1" for seed in range(3)] for name in "ab"}
    assert reasons(result) == {
        f"{name}{seed}-{again}": f"seed {seed} was trained again: {name}{seed}-1 counts"
        for name in "ab"
        for seed in range(3)
        for again in (0, 2)
    }
    assert rows_of(as_json(bakeoff, str(tmp_path / "r"), "--no-statistics")) == rows_of(result)


@pytest.mark.parametrize(
    ("times", "started", "newest"),
    [
        ((None, None), (None, None), "1"),  # by name: names of single runs begin with their time
        (("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), (None, None), "0"),
        (("2026-01-02T00:00:00+09:00", "2026-01-01T20:00:00+00:00"), (None, None), "1"),
        ((None, None), ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "0"),
        (("2999-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), (None, None), "1"),  # it has not come yet
        (("2026-01-01T00:00:00", None), (None, None), "0"),
    ],
)
def test_the_newest_run_of_a_seed_counts(
    bakeoff: Bakeoff, tmp_path: Path, times: tuple[Any, Any], started: tuple[Any, Any], newest: str
) -> None:
    for name in ("0", "1"):
        run = tmp_path / "r" / name
        make_run(run, 0, "s", error_rate=0.1 + 0.1 * int(name))
        edit_summary(run, identity=name)
        set_time(run, times[int(name)])
        (run / "environment.json").write_text(json.dumps({"started": started[int(name)]}))
    assert rows_of(as_json(bakeoff, str(tmp_path / "r"))) == {"s": [newest]}


def test_a_run_that_is_not_whole_is_never_the_newest(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name in ("0", "1"):
        make_run(tmp_path / "r" / name, 0, "s")
        edit_summary(tmp_path / "r" / name, identity=name)
    (tmp_path / "r" / "1" / "predictions.npz").write_bytes(b"")
    result = as_json(bakeoff, str(tmp_path / "r"), code=7)
    assert rows_of(result) == {"s": ["0"]}
    assert list(reasons(result)) == ["1"]


# no predictions


def test_scores_that_nothing_bears_out_head_no_table_and_say_so(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = tmp_path / "r"
    make_run(root / "mine", 0, "s", model="mine", error_rate=0.4)
    make_run(root / "forged", 0, "f", model="forged")
    raise_scores(root / "forged")
    (table,) = as_json(bakeoff, str(root))["tables"]
    assert [(row["name"], row["num_with_predictions"]) for row in table["settings"]] == [
        ("mine", 1),
        ("forged", 0),
    ]
    assert table["settings"][1]["metrics"]["accuracy"]["mean"] == 1.0
    for options in ([], ["--no-statistics"], ["--format", "markdown"], ["--columns", "accuracy"]):
        out = bakeoff("compare", str(root), *options)[1]
        assert "forged (no predictions)" in out
        assert "mine (no predictions)" not in out
        assert out.index("mine") < out.index("forged")


def test_a_row_without_predictions_takes_no_front_from_the_others(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = tmp_path / "r"
    for name, error_rate in (("mine", 0.0), ("worse", 0.9), ("forged", 0.5)):
        make_run(root / name, 0, name, model=name, error_rate=error_rate)
    raise_scores(root / "forged")
    (table,) = as_json(bakeoff, str(root), "--cost", "parameters")["tables"]
    assert table["verdict"][-1] == (
        "Best trade-off of accuracy against parameters (Pareto front): mine; "
        "no configuration that costs the same or less is proven to be more accurate. "
        "Without predictions, so left out: forged."
    )
    assert {row["name"]: row["on_front"] for row in table["settings"]} == {
        "mine": True,
        "worse": False,
        "forged": False,
    }


@pytest.mark.parametrize("options", [[], ["--no-statistics"]])
def test_a_run_without_predictions_enters_no_row_of_checked_ones(
    bakeoff: Bakeoff, tmp_path: Path, options: list[str]
) -> None:
    root = tmp_path / "r"
    for seed in range(4):
        make_run(root / str(seed), seed, "s", error_rate=0.4)
    raise_scores(root / "3")
    result = as_json(bakeoff, str(root), *options)
    assert rows_of(result) == {"s": ["0", "1", "2"]}
    reason = "no predictions to check its scores, which the other runs of its configuration have"
    assert reasons(result) == {"3": reason}


def test_a_newer_run_without_predictions_replaces_none(bakeoff: Bakeoff, tmp_path: Path) -> None:
    root = tmp_path / "r"
    for name in ("old", "new"):
        make_run(root / name, 0, "s", error_rate=0.4)
        edit_summary(root / name, identity=name)
    raise_scores(root / "new")
    set_time(root / "old", "2020-01-01T00:00:00+00:00")
    assert rows_of(as_json(bakeoff, str(root))) == {"s": ["old"]}
