"""Run directories and sweeps in all states, for what lists and shows them."""

import dataclasses
import functools
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from run_directories import make_run

from bakeoff.config.schema import defaults
from bakeoff.runs.records import SplitScores
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps.ledger import Entry, Ledger

DEAD = {"process_started": "another boot 1"}  # of a run that says that it is running
DAY = "2026-01-02"


def edit_json(path: Path, **changes: Any) -> None:
    values = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(values | changes, indent=1))  # as the program writes it


@functools.cache
def _templates() -> tempfile.TemporaryDirectory[str]:
    """A finished and an unfinished run, which are copied: to write one with care takes a tenth of a second."""
    folder = tempfile.TemporaryDirectory()
    make_run(Path(folder.name) / "finished")
    run = RunDir.create(Path(folder.name) / "unfinished")
    data = {**defaults()["data"], "name": "digits", "title": "digits"}
    values = defaults() | {"model": {"name": "cnn", "family": "cnn"}, "data": data}
    run.write_config(values, ["model=cnn", "data=digits", "seed=0", "optim.lr=0.5", "sweep.name=s"])
    run.write_status("queued", 7)
    return folder


def finished(
    path: Path, seed: int = 0, val: float | None = None, began: str | None = None, model: str = "cnn"
) -> Path:
    """A finished run; `val` is its validation accuracy."""
    shutil.copytree(Path(_templates().name) / "finished", path)
    edit_json(path / "summary.json", seed=seed, model=model, run_id=path.name, identity=path.name)
    if val is not None:
        scores = SplitScores(val, val, 0.1, 0.0, 20, 0, [])
        edit_json(path / "summary.json", val=dataclasses.asdict(scores))
    if began is not None:
        edit_json(path / "environment.json", started=began)
    return path


def unfinished(path: Path, status: str, error: str | None = None, seed: int = 0, **changes: Any) -> Path:
    """A run without a result; `changes` are of its status."""
    shutil.copytree(Path(_templates().name) / "unfinished", path)
    edit_json(path / "config.json", seed=seed)
    edit_json(path / "status.json", status=status, error=error, **changes)
    return path


def ledger(folder: Path, runs: Sequence[str], line: Sequence[str] = (), owned: bool = False) -> Ledger:
    """A sweep's `sweep.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Ledger(folder, list(line), "2026-01-02T09:00:00+00:00")
    made.add(
        Entry(name, f"identity {name}", "setting", f"seed={seed}", "cnn", "digits", seed)
        for seed, name in enumerate(runs)
    )
    made.write(owned=owned)
    return made


def sweep_of_all_states(root: Path, name: str = "night") -> Path:
    """A sweep of nine runs: one in each state, and one whose directory is gone."""
    folder = root / "sweeps" / name
    states = ("finished", "queued", "interrupted", "failed", "diverged", "lost", "pruned", "running")
    names = [f"cnn-digits-s{seed}-{state}" for seed, state in enumerate((*states, "gone"))]
    line = ["model=cnn", "data=digits", "seed=0,1,2,3,4,5,6,7,8", "optim.lr=0.5"]
    ledger(folder, names, line)
    finished(folder / names[0], val=0.75, began="2026-01-02T09:00:10+00:00")
    for seed, state in enumerate(states[1:], start=1):
        status, changes = ("running", DEAD) if state == "lost" else (state, {})
        error = {"failed": "no memory\nat all", "diverged": "step 7: not finite"}.get(state)
        unfinished(folder / names[seed], status, error, seed, **changes)
    return folder
