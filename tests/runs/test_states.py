"""The words for how far a run is: one place says them, and all that is told of a run uses them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.states import NO_RESULT, STATES, RunState, state_of, state_or_lost

DOCUMENTS = Path(__file__).parents[2] / "docs"
DEAD = {"process_started": "another boot 1"}


def run_with(path: Path, status: str, error: str | None = None, **changes: Any) -> Path:
    run = RunDir.create(path / "run")
    run.write_status(status, 4, error)
    stored = json.loads((run.path / "status.json").read_text())
    (run.path / "status.json").write_text(json.dumps(stored | changes))
    return run.path


@pytest.mark.parametrize(
    ("status", "changes", "state", "may_go_on"),
    [
        ("queued", {}, "queued", True),
        ("queued", DEAD, "queued", True),  # it waits, whatever became of who made it
        ("queued", {"host": "elsewhere", "heartbeat": "2020-01-01T00:00:00+00:00"}, "queued", True),
        ("running", {}, "running", False),
        ("running", DEAD, "lost", True),
        ("interrupted", DEAD, "interrupted", True),
        ("failed", {}, "failed", True),  # with a checkpoint or without one
        ("diverged", {}, "diverged", False),
        ("pruned", {}, "pruned", False),
        ("finished", {}, "failed", True),  # without its summary
        ("asleep", {}, "asleep", False),
    ],
)
def test_the_state_of_a_directory(
    tmp_path: Path, status: str, changes: dict[str, Any], state: str, may_go_on: bool
) -> None:
    run = run_with(tmp_path, status, **changes)
    found = state_of(run)
    assert (found.state, found.may_go_on) == (state, may_go_on)
    assert found.step == 4
    (run / "checkpoints").mkdir()
    assert state_of(run).may_go_on == may_go_on
    (run / "summary.json").write_text("{}")
    assert state_of(run) == RunState("finished")


def test_the_reason(tmp_path: Path) -> None:
    assert state_of(run_with(tmp_path / "a", "failed", "no memory")).reason == "no memory"
    assert state_of(run_with(tmp_path / "b", "finished")).reason == NO_RESULT
    lost = state_of(run_with(tmp_path / "c", "running", **DEAD, heartbeat="then"))
    assert lost.reason == "no sign of life since then, step 4"


@pytest.mark.parametrize("changes", [{"step": "x" * 999}, {"step": True}, {"step": -1}, {"step": 10**400}])
def test_what_somebody_else_has_written_is_cut(tmp_path: Path, changes: dict[str, Any]) -> None:
    everything = {"status": "x" * 9999, "error": ["y" * 9999], "heartbeat": {"a": "z" * 9999}, **changes}
    run = run_with(tmp_path, "running")
    (run / "status.json").write_text(json.dumps(everything))
    found = state_of(run)
    assert found.step is None
    assert max(map(len, (found.state, str(found.reason), str(found.heartbeat)))) == 300


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_one_that_does_not_say_it_is_lost(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "config.json").write_text("{}")
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    with pytest.raises(UnreadableFileError):
        state_of(tmp_path)
    found = state_or_lost(tmp_path)
    assert (found.state, found.may_go_on) == ("lost", False)
    assert "status.json" in str(found.reason)


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert state_or_lost(tmp_path).state == "lost"
    os.symlink("status.json", tmp_path / "other")
    assert state_or_lost(tmp_path / "other").state == "lost"


def test_the_documents_define_each_word() -> None:
    for name in ("run-directory.md", "glossary.md"):
        text = (DOCUMENTS / name).read_text()
        missing = [word for word in STATES if not re.search(rf"^\| `?{word}`? \|", text, re.MULTILINE)]
        assert (missing if name == "run-directory.md" else [w for w in STATES if w not in text]) == []
