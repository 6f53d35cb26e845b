"""Whole runs with `trainer.max_seconds`, by the real clock."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_run import read

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.schema import parse
from bakeoff.errors import ConfigError, InterruptedRunError
from bakeoff.experiment import train as experiment
from bakeoff.experiment.gates import description, prepare
from bakeoff.experiment.progress import ProgressReport
from bakeoff.experiment.resume import resume
from bakeoff.machine.signals import StopSignal
from bakeoff.training.state import TrainState

LINE = ["data=digits", "model=cnn_small", "trainer.threads=1", "trainer.epochs=100000"]
SECONDS = 5.0


def values(*overrides: str) -> dict[str, Any]:
    return expand(parse_arguments([*LINE, *overrides]))[0][0].values


@pytest.mark.parametrize(("seconds", "noted"), [(None, False), (1.5, True), (2, True), (2.5, False)])
def test_the_first_lines_say_how_long_it_trains(seconds: float | None, *, noted: bool) -> None:
    prepared = prepare(values(*([f"trainer.max_seconds={seconds}"] if seconds else [])))
    told, said = f"; at most {seconds} s of training", description(prepared)
    assert said.endswith(told) if seconds else "of training" not in said
    assert any("too short to predict the number of steps" in note for note in prepared.notes) == noted


@pytest.mark.parametrize("wrong", ["0", "-1", ".inf", ".nan", "true", "'\"5\"'"])
def test_what_is_no_time_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.max_seconds"):
        parse(values(f"trainer.max_seconds={wrong}"))


def train(folder: Path, stop: StopSignal | None = None) -> Path:
    line = [*LINE, f"trainer.max_seconds={SECONDS}", f"output_dir={folder}"]
    return experiment.train(expand(parse_arguments(line))[0][0], stop or StopSignal())


def epochs(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]


def assert_whole(run: Path) -> dict[str, Any]:
    """Its files agree; returns the summary."""
    summary = read(run, "summary.json")
    records = epochs(run)
    assert records[-1]["step"] == summary["steps_run"] <= summary["planned_steps"]
    assert [record["epoch"] for record in records] == list(range(1, summary["epochs_run"] + 1))
    assert all(record["val"] for record in records)
    # 1,197 images in 10 batches of 128, the last one of 45.
    assert summary["epochs_run"] == -(-summary["steps_run"] // 10)
    assert summary["time"]["train_seconds"] == pytest.approx(sum(one["train_seconds"] for one in records))
    log = (run / "run.log").read_text()
    assert f"; at most {SECONDS:g} s of training\n" in log
    assert f"plan: {summary['planned_steps']:,} steps (" in log
    assert ("the time for training is over after step" in log) == (
        summary["steps_run"] < summary["planned_steps"]
    )
    assert summary["time"]["train_seconds"] < 1.1 * SECONDS
    return dict(summary)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_five_seconds_of_training_are_five(tmp_path: Path) -> None:
    """Never more; less where the machine became faster after the plan, so that it may try again."""
    shortest = 0.0
    for number in range(3):
        summary = assert_whole(train(tmp_path / str(number)))
        shortest = max(shortest, summary["time"]["train_seconds"])
        if shortest > 0.9 * SECONDS:
            break
    assert shortest > 0.9 * SECONDS


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_stopped_run_goes_on_by_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, planned = ProgressReport.__call__, []

    def then_stop(report: ProgressReport, state: TrainState, *rest: Any) -> None:
        step(report, state, *rest)
        if state.planned_steps is not None and not planned and state.step_in_epoch == 4:
            planned.append(state.planned_steps)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressReport, "__call__", then_stop)
    stop = StopSignal()
    with stop.caught(), pytest.raises(InterruptedRunError):
        train(tmp_path, stop)
    (run,) = (path.parent for path in tmp_path.glob("*/*/config.json"))
    assert not (run / "summary.json").exists()
    monkeypatch.setattr("bakeoff.runs.attempts.is_alive", lambda _: False)  # the first part was this process
    resume(run, StopSignal())
    assert assert_whole(run)["planned_steps"] == planned[0]
