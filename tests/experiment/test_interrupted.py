"""What a run that is stopped says of the weights that it leaves: only what then works."""

import re
import signal
from pathlib import Path

import pytest

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import InterruptedRunError
from bakeoff.experiment import train as experiment
from bakeoff.experiment.gates import prepare
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.rundir import RunDir


def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> str:
    """The error of a training that Ctrl-C stops in its second epoch."""
    append = RunDir.append_epoch

    def then_stop(run: RunDir, record: object) -> None:
        append(run, record)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunDir, "append_epoch", then_stop)
    line = [
        "data=digits",
        f"model={model}",
        "trainer.epochs=3",
        "trainer.threads=1",
        f"output_dir={tmp_path}",
    ]
    (job,), _ = expand(parse_arguments(line))
    stop = StopSignal()
    with stop.caught(), pytest.raises(InterruptedRunError) as raised:
        experiment.train(job, stop)
    return str(raised.value)


@pytest.mark.slow  # loads torchvision's networks
@pytest.mark.usefixtures("no_pictures")
def test_weights_that_a_new_run_can_begin_from_are_given_as_it_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = interrupted(tmp_path, monkeypatch, "shufflenet_small")
    found = re.search(r"\(the last layer anew\) with (model=\w+) (model\.weights=\S+)$", said)
    assert found, said
    (job,), _ = expand(parse_arguments(["data=digits", *found.groups()]))
    assert any("head new" in note for note in prepare(job.values).notes)


@pytest.mark.usefixtures("no_pictures")
def test_of_weights_that_no_run_takes_only_the_place_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = interrupted(tmp_path, monkeypatch, "cnn_small")
    (left,) = tmp_path.glob("*/*/weights_last.safetensors")
    assert said.endswith(f"; its weights so far are {left}; training cannot go on from them")
