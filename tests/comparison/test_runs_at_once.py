"""Times of runs that had a part of the machine each, and runs of several versions of the code."""

import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import edit_summary
from conftest import Bakeoff
from test_verdict import ENVIRONMENT, compared, made, some_right

from bakeoff.runs.storage import write_json


def two(tmp_path: Path, *changes: dict[str, Any]) -> None:
    for name, change in zip("ab", changes, strict=True):
        made(tmp_path / name, 0, name, some_right(0.9, 300, 0))
        started = {"started": f"2026-01-01T00:00:0{0 if name == 'a' else 1}+00:00"}
        write_json(tmp_path / name / "environment.json", ENVIRONMENT | started | change)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (2, 2, "times are of 2 runs at once; compare them only with such times"),
        (8, 8, "times are of 8 runs at once; compare them only with such times"),
        (1, 2, "times not ranked: 1 and 2 runs at once: more at once take longer"),
        (None, None, "times not ranked: some runs ran side by side"),
        ("2", "2", "times not ranked: some runs ran side by side"),  # anybody's file
    ],
)
def test_times_of_runs_side_by_side_are_ranked_among_themselves(
    bakeoff: Bakeoff, tmp_path: Path, a: Any, b: Any, told: str
) -> None:
    two(tmp_path, *({} if at_once is None else {"jobs_at_once": at_once} for at_once in (a, b)))
    assert [note for note in compared(bakeoff, tmp_path)["notes"] if "times" in note] == [told]
    assert bakeoff("compare", str(tmp_path), "--sort", "train_seconds")[0] == (2 if "not" in told else 0)


def test_more_runs_at_once_than_the_sweep_had_are_somebody_elses(bakeoff: Bakeoff, tmp_path: Path) -> None:
    two(tmp_path, {"jobs_at_once": 2}, {"jobs_at_once": 2})
    made(tmp_path / "c", 0, "c", some_right(0.9, 300, 0))
    started = {"started": "2026-01-01T00:00:02+00:00", "jobs_at_once": 2}
    write_json(tmp_path / "c" / "environment.json", ENVIRONMENT | started)
    notes = compared(bakeoff, tmp_path)["notes"]
    assert "times not ranked: some runs ran side by side" in notes


def test_a_row_whose_runs_had_other_parts_of_the_machine_is_said(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for seed, at_once in enumerate((1, 2, 2)):
        run = tmp_path / str(seed)
        made(run, seed, "a", some_right(0.9, 300, seed))
        write_json(run / "environment.json", ENVIRONMENT | {"jobs_at_once": at_once})
    times = [note for note in compared(bakeoff, tmp_path)["notes"] if "times" in note]
    assert times == ["caution: a: its times are of 1 and 2 runs at once, and their mean is of neither"]


def test_runs_of_a_row_that_come_from_several_versions_of_the_code_are_said(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    for seed, code in enumerate(("old", "old", "new")):
        run = tmp_path / str(seed)
        made(run, seed, "a", some_right(0.9, 300, seed))
        summary = json.loads((run / "summary.json").read_text())
        edit_summary(run, fingerprint=summary["fingerprint"] | {"code": code})
        files = {"training/loop.py": code, "training/optim.py": "same"}
        write_json(run / "environment.json", ENVIRONMENT | {"code": files})
    told = "caution: a: its runs come from 2 versions of the code (changed: training/loop.py)"
    assert told in compared(bakeoff, tmp_path)["notes"]
