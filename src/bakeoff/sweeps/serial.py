"""A sweep: all combinations are checked first, then run one after another. No torch here.

A job is a process of its own and its result is a directory; nothing else passes between them. The
directory's name holds the run's identity, so a finished run is not trained again and two sweeps of
one name cannot both write it.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bakeoff.comparison.output.printing import print_comparison
from bakeoff.comparison.read import Run, read_run
from bakeoff.config.compose import Job
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError, InterruptedRunError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import identity
from bakeoff.runs.rundir import sweep_folder, sweep_run_folder

# -P: the current folder is not a place to import from.
_PYTHON = [sys.executable, "-P", "-m"]


@dataclass(frozen=True)
class _PlannedJob:
    job: Job
    folder: Path
    finished: bool


def run_sweep(jobs: Sequence[Job], dry_run: bool) -> int:
    """Checks every job, trains those that have not finished, and prints the comparison.

    Returns:
        0, or 7 if a run failed.

    Raises:
        BakeoffError: before anything is created, if a job's config, data or folder is not right.
        InterruptedRunError: Ctrl-C; the jobs that had not begun are not started.
    """
    planned = [_plan(job) for job in jobs]
    folders = [item.folder for item in planned]
    for item in planned:
        if folders.count(item.folder) > 1:
            raise ConfigError(f"{_shown(item.job)}: the sweep holds this run twice")
    code = _check_with_torch([item.job for item in planned])
    if code != OK:
        return code
    roots = list(dict.fromkeys(item.folder.parent for item in planned))
    todo = [item for item in planned if not item.finished]
    where = ", ".join(map(str, roots))
    print(
        f"sweep {where}: {len(planned)} runs, {len(planned) - len(todo)} of them finished already", flush=True
    )
    if dry_run:
        for item in planned:
            print(f"  {item.folder.name}  {_shown(item.job)}")
        return OK
    failed = 0
    for number, item in enumerate(todo, start=1):
        print(f"\n[{number}/{len(todo)}] {_shown(item.job)}", flush=True)
        failed += _run(item.job) != OK
    print(flush=True)
    compared = print_comparison(roots)
    return SOME_RUNS_BAD if failed else compared


def _shown(job: Job) -> str:
    """The job's own overrides; the sweep's name stands above them."""
    return " ".join(text for text in job.overrides if not text.startswith(("sweep.name=", "hydra.")))


def _plan(job: Job) -> _PlannedJob:
    config = check_shared(job.values)
    key = identity(job.values, data_fingerprint(config.data.name, config.data.root))
    assert config.sweep.name is not None
    model = str(config.model["name"])
    folder = sweep_run_folder(config.output_dir, config.sweep.name, model, config.data.name, config.seed, key)
    assert folder.parent == sweep_folder(config.output_dir, config.sweep.name)
    if not folder.exists():
        return _PlannedJob(job, folder, finished=False)
    found = read_run(folder)
    if isinstance(found, Run) and found.summary.get("identity") == key:
        return _PlannedJob(job, folder, finished=True)
    reason = "of another identity" if isinstance(found, Run) else found.reason
    raise ConfigError(
        f"{folder}: there already, but no finished run ({reason}); remove it or choose another sweep.name"
    )


def _check_with_torch(jobs: Sequence[Job]) -> int:
    """Gates 2 and 3 need torch and the data: one child passes all jobs through them."""
    values = json.dumps([job.values for job in jobs])
    return subprocess.run(
        [*_PYTHON, "bakeoff.sweeps.torch_gates"], input=values, text=True, check=False
    ).returncode


def _run(job: Job) -> int:
    """Trains one job in a child and returns its exit code.

    The child has a process group of its own, so that Ctrl-C reaches this process alone, which hands
    each signal on once: the first lets the child end at its next step, a second ends it at once.
    """
    child = subprocess.Popen([*_PYTHON, "bakeoff", "train", *job.overrides], process_group=0)
    interrupted = False

    def hand_on(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        child.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted:
        name = job.values["sweep"]["name"]
        raise InterruptedRunError(f"sweep.name={name}: interrupted; the jobs after this one were not started")
    return code
