"""A sweep's children in the test's own process: a process of each takes seconds to load torch."""

import io
import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bakeoff.exits import run_reporting_errors
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import child, job, torch_gates
from bakeoff.sweeps.child import Slot

Work = Callable[[Namespace], int]
SWEEP = ["train", "-m", "data=digits", "model.channels=[4]", "trainer.epochs=1", "sweep.name=night"]
NIGHT = Path("outputs/sweeps/night")


class Ended(child.Started):
    """A job that has run already when it was started."""

    def __init__(self, run: Path, code: int) -> None:
        super().__init__(run, Namespace(pid=os.getpid()))  # type: ignore[arg-type]
        self._code = code

    def poll(self) -> int | None:
        return self._code

    def send(self, number: signal.Signals) -> None:
        raise AssertionError(f"{number} to a job that has ended")


def checked_here(configs: Sequence[Any], _stop: StopSignal, sizes: int) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(json.dumps(configs)))
        return run_reporting_errors(lambda: torch_gates._check(os.dup(sizes)), debug=False)


def job_here(work: Work | None = None) -> Callable[..., Ended]:
    """In place of `child.start`: does the work at once."""

    def start(run: Path, identity: str, slot: Slot, _pipe: int, jobs_at_once: int, data_root: str) -> Ended:
        options = Namespace(
            run=run,
            identity=identity,
            threads=slot.threads,
            jobs_at_once=jobs_at_once,
            data_root=data_root,
        )
        with (
            pytest.MonkeyPatch.context() as patch,
            open(run / "run.log", "a") as log,
            redirect_stdout(io.StringIO()),
            redirect_stderr(log),
        ):
            patch.setattr("sys.argv", sys.argv)
            code = run_reporting_errors(lambda: (work or job._work)(options), debug=False)
        return Ended(run, code)

    return start


def children_here(monkeypatch: pytest.MonkeyPatch, work: Work | None = None) -> None:
    """Both kinds of children."""
    monkeypatch.setattr("bakeoff.sweeps.gates_child._run", checked_here)
    monkeypatch.setattr("bakeoff.sweeps.scheduler.start", job_here(work))


def no_job(options: Namespace) -> int:
    pytest.fail(f"trains {options.run} again")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def states() -> list[str]:
    return [entry["state"] for entry in json.loads((NIGHT / "sweep.json").read_text())["jobs"]]
