"""Runs that were stopped and resumed: their times count where all parts ran on one machine, alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import edit_summary, only_table
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.runs.storage import write_json

HERE = {"host": "one", "device_name": "cpu"}
FIRST = {**HERE, "started": "2026-01-01T00:00:00+00:00", "from_step": 0, "seconds_before": 0}


def resumed(**second: Any) -> list[dict[str, Any]]:
    """Two parts: 3 s, and from the second's start the other 4 of the 7 s that a run of make_run takes."""
    return [FIRST, FIRST | {"from_step": 5, "seconds_before": 3} | second]


def times_note(bakeoff: Bakeoff, root: Path, parts: Any, other_began: str) -> str | None:
    for name, began in (("a", FIRST["started"]), ("b", other_began)):
        make_run(root / name, 0, name)
        write_json(root / name / "environment.json", HERE | {"threads": 2, "started": began})
    edit_summary(root / "a", parts=parts)
    notes = [note for note in only_table(bakeoff, root)["notes"] if note.startswith("times")]
    return notes[0] if notes else None


NOON, AFTER = "2026-01-01T12:00:00+00:00", "2026-01-01T12:00:05+00:00"


@pytest.mark.parametrize(
    ("parts", "other_began", "note"),
    [
        (resumed(started=NOON), "2026-01-01T11:00:00+00:00", None),  # between the parts
        (resumed(started=NOON), AFTER, None),
        (resumed(started=NOON), "2026-01-01T12:00:00+00:00", "some runs ran side by side"),
        (resumed(started=NOON), "2025-12-31T23:59:58+00:00", "some runs ran side by side"),
        (resumed(started=NOON, host="two"), AFTER, "the runs come from 2 machines"),
        (resumed(started=NOON, device_name="gpu"), AFTER, "the runs come from 2 machines"),
        (resumed(started=NOON, host=None), AFTER, "the machine of some runs is not recorded"),
        (resumed(started="noon"), AFTER, "when some runs ran is not recorded"),
        (resumed(started=NOON, seconds_before="3"), AFTER, "when some runs ran is not recorded"),
        ([], AFTER, None),  # an older version: one part, by environment.json
        ([1], AFTER, None),
        ({"a": 1}, AFTER, None),
    ],
)
def test_each_part_has_its_machine_and_its_time(
    parts: Any, other_began: str, note: str | None, tmp_path: Path, bakeoff: Bakeoff
) -> None:
    told = times_note(bakeoff, tmp_path, parts, other_began)
    assert told == (note and f"times not ranked: {note}")


@pytest.mark.parametrize(
    ("changed", "which"),
    [
        ({"trainer.epochs": 20}, "trainer.epochs"),
        ({"trainer.epochs": 20, "trainer.device": "cpu"}, "trainer.device and trainer.epochs"),
        ({"\x1b[2J": 1}, "configuration"),
        (None, "configuration"),
    ],
)
def test_a_run_that_went_on_with_another_config_is_a_caution(
    changed: Any, which: str, tmp_path: Path, bakeoff: Bakeoff
) -> None:
    make_run(tmp_path / "a", 0, "a")
    assert "resumed" not in json.dumps(only_table(bakeoff, tmp_path)["notes"])
    edit_summary(tmp_path / "a", resumed_from={"run_id": "x", "step": 7, "changed": changed})
    said = f"caution: cnn: began with another {which} and was resumed with this one"
    assert said in only_table(bakeoff, tmp_path)["notes"]
