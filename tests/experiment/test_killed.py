"""A run that is killed and goes on has the bits of one that was not: the least of `scripts/try_resume.py`."""

import itertools
import json
import multiprocessing
import random
from pathlib import Path

import pytest

import bakeoff.experiment.resume  # noqa: F401 - before any fork

SCRIPTS = Path(__file__).parents[2] / "scripts"
WORDS = [
    "model=cnn_small",
    "model.channels=[4]",
    "trainer.epochs=4",
    "data.train_limit=200",
    "trainer.batch_size=32",
]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not_and_what_differs_is_seen(tmp_path: Path) -> None:
    """In a process of its own: in one that has trained, a fork of it cannot."""
    child = multiprocessing.get_context("spawn").Process(target=kill_twice, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 0


def kill_twice(tmp_path: Path) -> None:
    """One kill in an epoch and one in a save, in the processes of one run."""
    import killed_runs
    import run_phases
    import try_resume

    words = [*try_resume.COMMON, *WORDS]
    straight = killed_runs.train_until_done(words, tmp_path / "straight", None)
    expected = killed_runs.result_of(straight.run)
    assert {"weights.safetensors", "predictions.npz", "epochs.jsonl", "summary.json", "config.json"} <= set(
        expected
    )

    class Twice(killed_runs.Killer):
        def wait(self, child: int, board: run_phases.Board) -> int | None:
            aims = [run_phases.TRAINING, run_phases.SAVE]
            if self.tries == len(aims):
                return killed_runs._ended(child, 60)
            place = run_phases.PHASES.index(aims[self.tries])
            self.tries += 1
            return killed_runs._ended(child, 60, lambda: board.phase == place)

    trial = killed_runs.train_until_done(words, tmp_path / "killed", Twice(random.Random(0), 1.0, {}))
    assert len(trial.kills) == 2
    assert killed_runs.faults(trial, expected) == []

    def changed(name: str, content: bytes) -> list[str]:
        path = trial.run / name
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        found = killed_runs.faults(trial, expected)
        path.unlink() if before is None else path.write_bytes(before)
        return found

    weights = bytearray((trial.run / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    assert changed("weights.safetensors", weights) == ["weights.safetensors"]
    summary = json.loads((trial.run / "summary.json").read_text())
    summary["test"]["per_class"][3]["f1"] += 1e-15
    assert changed("summary.json", json.dumps(summary).encode()) == ["summary.json"]
    assert changed(".weights.safetensors.1.0123abcd.tmp", b"")
    assert changed("checkpoints/step-00000001/state.json", b"{}")[-1] == "its checkpoints are left"


def test_any_two_levels_of_two_factors_meet_in_a_combination() -> None:
    import try_resume

    levels = [range(len(found)) for found in try_resume.FACTORS.values()]
    for (first, ones), (second, others) in itertools.combinations(enumerate(levels), 2):
        met = {(row[first], row[second]) for row in try_resume.COMBINATIONS}
        assert met == set(itertools.product(ones, others))
