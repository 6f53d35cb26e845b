"""What a run that is stopped says of the weights that it leaves: only what then works."""

import re
import shlex
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import BakeoffError, DivergedError, InterruptedRunError
from bakeoff.experiment import train as experiment
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.gates import prepare
from bakeoff.experiment.outcome import outcome_recorded
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.rundir import RunDir


def stopped(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    how: Callable[[], None],
    error: type[BakeoffError],
) -> str:
    """The error of a training that ends after its first epoch."""
    append = RunDir.append_epoch

    def then_stop(run: RunDir, record: object) -> None:
        append(run, record)  # type: ignore[arg-type]
        how()

    monkeypatch.setattr(RunDir, "append_epoch", then_stop)
    line = [
        "data=digits",
        f"model={model}",
        "trainer.epochs=3",
        "trainer.threads=1",
        f"output_dir='{tmp_path}'",
    ]
    (job,), _ = expand(parse_arguments(line))
    stop = StopSignal()
    with stop.caught(), pytest.raises(error) as raised:
        experiment.train(job, stop)
    return str(raised.value)


def test_a_second_signal_while_the_first_status_is_written_has_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []

    def then_signals(run: RunDir, status: str, step: int, error: str | None = None) -> None:
        stop.last_words("stopped twice")

    monkeypatch.setattr(RunDir, "write_status", then_signals)
    monkeypatch.setattr(RunDir, "abandon", lambda run, step, text: words.append(text))
    line = ["data=digits", "trainer.epochs=1", "trainer.threads=1", f"output_dir='{tmp_path}'"]
    (job,), _ = expand(parse_arguments(line))
    state = experiment.first_state(prepared := prepare(job.values))
    run, stop = RunDir.create(tmp_path / "run"), StopSignal()
    keeper = Keeper(run, state, prepared.config.trainer, began=0.0)
    with outcome_recorded(run, state, prepared.config, stop, keeper):
        pass
    assert words == ["stopped twice"] * 2  # at the first status and at the last


def diverge() -> None:
    raise DivergedError("not finite")


@pytest.mark.slow  # loads torchvision's networks
@pytest.mark.usefixtures("no_pictures")
def test_weights_that_a_new_run_can_begin_from_are_given_as_it_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stopped(tmp_path, monkeypatch, "shufflenet_small", diverge, DivergedError)
    found = re.search(r"\(the last layer anew\) with (model=\w+) (model\.weights=\S+)$", said)
    assert found, said
    (job,), _ = expand(parse_arguments(["data=digits", *found.groups()]))
    assert any("head new" in note for note in prepare(job.values).notes)


@pytest.mark.usefixtures("no_pictures")
def test_of_weights_that_no_run_takes_only_the_place_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stopped(tmp_path, monkeypatch, "cnn_small", diverge, DivergedError)
    (left,) = tmp_path.glob("*/*/weights_last.safetensors")
    assert said.endswith(f"; its weights so far are {left}; training cannot go on from them")


@pytest.mark.usefixtures("no_pictures")
def test_a_stopped_run_ends_with_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = tmp_path / "my outputs"
    press = partial(signal.raise_signal, signal.SIGINT)
    said = stopped(outputs, monkeypatch, "cnn_small", press, InterruptedRunError)
    (run,) = outputs.glob("*/*-s0-*")
    words = shlex.split(said.partition("; go on with: ")[2])
    assert words == ["bakeoff", "resume", str(run)]
