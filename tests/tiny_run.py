"""A run of a few seconds on digits, and its files."""

import json
from pathlib import Path
from typing import Any

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.experiment import train as experiment
from bakeoff.machine.signals import StopSignal

LINE = ["data=digits", "model.channels=[4]", "trainer.epochs=1", "optim.warmup_epochs=0"]


def train(output_dir: Path, *overrides: str) -> Path:
    (job,), _ = expand(parse_arguments([*LINE, f"output_dir={output_dir}", *overrides]))
    return experiment.train(job, StopSignal())


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())
