"""Runs with a budget of training time: what a comparison says of them, and in which numbers they differ."""

import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import edit_summary
from conftest import Bakeoff
from run_directories import make_run
from test_verdict import ENVIRONMENT, compared, made, some_right

from bakeoff.runs.storage import write_json

EQUAL = (
    "equal time: each run had 60 s for training (a step that has begun is finished), so compare scores; train_seconds and the number of "
    "epochs say nothing about a model"
)

UNPLANNED = (
    "the time was over before the number of steps was planned, so its learning rate followed trainer.epochs"
)
SLOWER = (
    "only 361 of 669 planned steps were done, as the steps became slower or it stopped early: its learning rate "
    "had not fallen to the end"
)


def run(
    root: Path, name: str, budget: Any, epochs: int = 1000, seconds: float = 59.0, **options: Any
) -> None:
    changes = {"trainer.max_seconds": budget, "trainer.epochs": epochs, **options.pop("changes", {})}
    right = some_right(0.9, 300, ord(name[-1]))
    made(root / name, 0, name, right, changes=changes, train_seconds=seconds, **options)


def test_runs_of_the_same_budget_may_be_compared_though_their_limits_of_epochs_differ(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    run(tmp_path, "a", 60.0, epochs=1000)
    run(tmp_path, "b", 60.0, epochs=2000)
    table = compared(bakeoff, tmp_path, "--strict")
    assert EQUAL in table["notes"]
    assert not [note for note in table["notes"] if note.startswith("caution")]
    assert table["pairs"][0]["comparable"] is True
    assert all("trainer.max_seconds" not in row["changed"] for row in table["settings"])


@pytest.mark.parametrize(("other", "text"), [(None, "no limit"), (120, "120 s"), (0.5, "0.5 s")])
def test_other_budgets_are_a_caution_a_column_and_a_key(
    bakeoff: Bakeoff, tmp_path: Path, other: float | None, text: str
) -> None:
    run(tmp_path, "a", 60.0)
    run(tmp_path, "b", other, seconds=200.0)
    table = compared(bakeoff, tmp_path, "--strict", code=7)
    assert f"caution: the rows also differ in time for training: 60 s in a; {text} in b" in table["notes"]
    assert EQUAL not in table["notes"]
    assert {row["name"]: row["changed"]["trainer.max_seconds"] for row in table["settings"]} == {
        "a": 60.0, "b": other,
    }  # fmt: skip
    (told,) = [text for text in table["pairs"][0]["confounders"] if "time" in text]
    assert told == f"time for training: 60 s against {'none' if other is None else text}"
    out = bakeoff("compare", str(tmp_path), "--format", "csv")[1]
    assert "trainer.max_seconds" in out
    out = bakeoff("compare", str(tmp_path))[1]
    assert "trainer.max_seconds" in out
    assert not [note for note in table["notes"] if "its recipe" in note]


def test_older_runs_without_the_key_have_no_budget(bakeoff: Bakeoff, tmp_path: Path) -> None:
    run(tmp_path, "a", None)
    run(tmp_path, "b", None)
    path = tmp_path / "a" / "config.json"
    values = json.loads(path.read_text())
    del values["trainer"]["max_seconds"]
    path.write_text(json.dumps(values))
    table = compared(bakeoff, tmp_path, "--strict")
    assert all("trainer.max_seconds" not in row["changed"] for row in table["settings"])


def test_time_that_was_not_used_is_told(bakeoff: Bakeoff, tmp_path: Path) -> None:
    run(tmp_path, "a", 60.0)
    run(tmp_path, "b", 60.0, epochs=1, seconds=12.34)
    run(tmp_path, "c", 60.0, epochs=1, seconds=53.9)
    run(tmp_path, "d", 60.0, epochs=1, seconds=54.1)
    notes = compared(bakeoff, tmp_path)["notes"]
    told = ": trainer.epochs or early stopping ended it; with more epochs it would use its time"
    assert sorted(note for note in notes if told in note) == [
        f"b: trained for only 12.3 of 60 s{told}",
        f"c: trained for only 53.9 of 60 s{told}",
    ]
    caution = "caution: the rows also differ in epochs: as many as fit in a; 1 in "
    assert [note[: len(caution)] for note in notes if "in epochs" in note] == [caution]


@pytest.mark.parametrize(
    ("done", "planned", "seconds", "said"),
    [
        (361, 669, 60.0, SLOWER),
        (603, 669, 60.0, None),
        (669, 669, 40.0, "trained for only 40 of 60 s: its steps became faster than when their number was planned"),
        (361, None, 60.0, UNPLANNED),
        (361, None, 59.9, None),
        (361, True, 60.0, UNPLANNED),
        (None, None, 60.0, None),
        ("361", None, 60.0, None),
    ],
)  # fmt: skip
def test_a_plan_that_was_far_off_is_told(
    bakeoff: Bakeoff, tmp_path: Path, done: Any, planned: Any, seconds: float, said: str | None
) -> None:
    for name in "ab":
        run(tmp_path, name, 60.0, seconds=seconds if name == "a" else 60.0)
    edit_summary(tmp_path / "a", steps_run=done, planned_steps=planned)
    notes = compared(bakeoff, tmp_path)["notes"]
    assert [note for note in notes if note.startswith("a: ")] == ([f"a: {said}"] if said else [])


def test_an_equal_time_on_two_machines_is_no_fair_one(bakeoff: Bakeoff, tmp_path: Path) -> None:
    run(tmp_path, "a", 60.0)
    run(tmp_path, "b", 60.0)
    write_json(tmp_path / "b" / "environment.json", ENVIRONMENT | {"host": "two"})
    notes = compared(bakeoff, tmp_path)["notes"]
    reason = "the runs come from 2 machines"
    assert {EQUAL, f"caution: an equal time is not a fair one here: {reason}"} <= set(notes)
    # A table of one row compares nothing.
    (tmp_path / "b" / "summary.json").unlink()
    assert not [note for note in compared(bakeoff, tmp_path, code=7)["notes"] if "equal time" in note]


@pytest.mark.parametrize(
    "value", [True, "60", -1, 0, [60], {"a": 1}, 10**400], ids=lambda value: str(value)[:9]
)
def test_a_budget_that_is_none_is_none(bakeoff: Bakeoff, tmp_path: Path, value: Any) -> None:
    run(tmp_path, "a", 60.0)
    run(tmp_path, "b", 60.0)
    path = tmp_path / "b" / "config.json"
    values = json.loads(path.read_text())
    values["trainer"]["max_seconds"] = value
    path.write_text(json.dumps(values))
    edit_summary(tmp_path / "b", setting="other")
    notes = compared(bakeoff, tmp_path)["notes"]
    assert any("time for training: 60 s in a; no limit in b" in note for note in notes)


def test_diff_names_the_budget(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for name, budget in (("a", 60.0), ("b", None)):
        make_run(tmp_path / name, 0, name, changes={"trainer.max_seconds": budget})
    out = bakeoff("diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json")[1]
    assert json.loads(out)["config"] == {"trainer.max_seconds": [60.0, None]}
