"""Small runs that Ctrl-C has stopped, at chosen moments."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.errors import InterruptedRunError
from bakeoff.experiment import train as experiment
from bakeoff.experiment.progress import ProgressReport
from bakeoff.machine.signals import StopSignal
from bakeoff.training.state import TrainState

LINE = [
    "data=digits", "model.channels=[4,4]", "trainer.epochs=3", "trainer.deterministic=true", "trainer.threads=1",
    "trainer.batch_size=256", "data.augment.shift_pixels=1", "optim.warmup_epochs=1", "model.dropout=0.1",
]  # fmt: skip
STEPS_PER_EPOCH = 5


def train(outputs: Path, *overrides: str, stop: StopSignal | None = None) -> Path:
    (job,), _ = expand(parse_arguments([*LINE, f"output_dir={outputs}", *overrides]))
    return experiment.train(job, stop or StopSignal())


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def stop_at_step(step: int) -> Callable[[pytest.MonkeyPatch], None]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def told(_: ProgressReport, state: TrainState, *__: object) -> None:
            if state.step == step:
                press()

        monkeypatch.setattr(ProgressReport, "__call__", told)

    return patch


def stop_in_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressReport, "rated", lambda *_: press())


def stop_in_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.experiment.part.Bar.move_to", lambda *_: press())


def stopped(outputs: Path, patch: Callable[[pytest.MonkeyPatch], None], *overrides: str) -> Path:
    """A run that Ctrl-C has stopped."""
    stop = StopSignal()
    with pytest.MonkeyPatch.context() as monkeypatch, stop.caught():
        patch(monkeypatch)
        with pytest.raises(InterruptedRunError):
            train(outputs, *overrides, stop=stop)
    (run,) = [path for path in outputs.glob("*/*") if path.parent.name != "datasets"]
    assert read(run, "status.json")["status"] == "interrupted"
    return run


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
