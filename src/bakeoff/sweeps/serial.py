"""A sweep: all combinations are checked first, then run one after another. No torch here.

A job is a process of its own and its result is a directory; nothing else passes between them. The
directory's name holds the run's identity, so a finished run is not trained again and two sweeps of
one name cannot both write it.
"""

import glob
import json
import math
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bakeoff.comparison.output.printing import print_comparison
from bakeoff.comparison.read import Run, read_run
from bakeoff.config.job import Job
from bakeoff.config.titles import title_of
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError, InterruptedRunError, ResourceError
from bakeoff.experiment.earlier_runs import told_of
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import identity
from bakeoff.machine.signals import StopSignal, stopped_by
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.rundir import LOG, sweep_folder, sweep_run_folder
from bakeoff.text import about, counted, without_numbers

# -P: the current folder is not a place to import from.
_PYTHON = [sys.executable, "-P", "-m"]
_SECONDS_BETWEEN_LOOKS = 0.05  # at a signal to hand on
_MOST_SIGNALS = 2  # the second ends the child at once
_SECONDS_TO_END = 5.0  # after that


@dataclass(frozen=True)
class _PlannedJob:
    job: Job
    identity: str
    folder: Path
    finished: bool


def run_sweep(jobs: Sequence[Job], dry_run: bool, stop: StopSignal) -> int:
    """Checks every job, trains those that have not finished, and prints the comparison.

    Returns:
        0, or 7 if a run failed.

    Raises:
        BakeoffError: before anything is created, if a job's config, data or folder is not right.
        InterruptedRunError: a signal; the jobs that had not begun are not started.
    """
    planned = []
    for number, job in enumerate(jobs, start=1):
        stop.check()
        with doing(f"looking for run {number} of {len(jobs)}"):
            planned.append(_plan(job))
    runs = Counter((item.folder.parent, item.identity) for item in planned)
    for item in planned:
        if runs[item.folder.parent, item.identity] > 1:
            raise ConfigError(f"{_shown(item.job)}: the sweep holds this run twice")
    code = _check_with_torch([item.job for item in planned], stop)
    if code != OK:
        return code  # the child has said why
    roots = list(dict.fromkeys(item.folder.parent for item in planned))
    todo = [item for item in planned if not item.finished]
    where = ", ".join(map(str, roots))
    tell(
        f"sweep {where}: {counted(len(planned), 'run')}, {len(planned) - len(todo)} of them finished already"
    )
    if dry_run:
        for item in planned:
            tell(f"  {item.folder.name}  {_shown(item.job)}")
        if todo:
            tell(told_of([item.job.values for item in todo]))
        return OK
    failed = _train_all(todo, stop)
    print(flush=True)
    compared = print_comparison(roots)
    return SOME_RUNS_BAD if failed else compared


def _train_all(todo: Sequence[_PlannedJob], stop: StopSignal) -> int:
    """Trains one after another; how many failed.

    Raises:
        InterruptedRunError: a signal; the jobs that had not begun are not started.
    """
    failed, began = 0, time.monotonic()
    said: set[str] = set()
    for number, item in enumerate(todo, start=1):
        done = number - 1
        rest = (time.monotonic() - began) / done * (len(todo) - done) if done else None
        left = f" ({about(rest)} for this and the rest)" if rest else ""
        tell(f"\n[{number}/{len(todo)}] {_shown(item.job)}{left}")
        content = {"values": item.job.values, "overrides": list(item.job.overrides), "said": sorted(said)}
        code = _run_child("bakeoff.sweeps.job", content, stop)
        if stop.name is not None:
            name, others = item.job.values["sweep"]["name"], len(todo) - number
            left = f"; {counted(others, 'job')} of sweep.name={name} not started" if others else ""
            again = f"; resume the stopped run, then give this command again with sweep.name={name}"
            raise InterruptedRunError(f"{stopped_by(stop.name)}{left}{again}")
        if code < 0:
            tell(f"the process of this job was {_ended_by(code)}")
        # What was printed may be lost (exit code 4) and the run be whole: its directory says what it is.
        failed += code != OK and not isinstance(read_run(item.folder), Run)
        said |= _notes(item.folder)
    return failed


def _notes(run: Path) -> set[str]:
    """What a run's log notes, without numbers: another load of a busy machine is no other note."""
    with suppress(OSError):
        lines = (run / LOG).read_text("utf-8", errors="replace").splitlines()
        texts = [line.partition(" ")[2] for line in lines]
        return {without_numbers(text) for text in texts if text.startswith("note: ")}
    return set()


def _shown(job: Job) -> str:
    """What the command line says of the job; the sweep's name stands above them."""
    texts = [text for text in job.overrides if not text.startswith(("sweep.name=", "hydra."))]
    own = [text for text in texts if text.partition("=")[0] not in job.file_keys]
    return " ".join([*(["--config", shlex.quote(job.file)] if job.file else []), *own])


def _plan(job: Job) -> _PlannedJob:
    config = check_shared(job.values)
    key = identity(job.values, data_fingerprint(config.data.name, config.data.root))
    assert config.sweep.name is not None
    model = str(config.model["name"])
    title = title_of(config.data)
    folder = sweep_run_folder(config.output_dir, config.sweep.name, model, title, config.seed, key)
    assert folder.parent == sweep_folder(config.output_dir, config.sweep.name)
    # The same run under another title of the data.
    folder = next(folder.parent.glob(f"{glob.escape(model)}-*-s{config.seed}-{key[:8]}"), folder)
    if not folder.exists():
        return _PlannedJob(job, key, folder, finished=False)
    found = read_run(folder)
    if isinstance(found, Run) and found.summary.get("identity") == key:
        return _PlannedJob(job, key, folder, finished=True)
    reason = "of another identity" if isinstance(found, Run) else found.reason
    raise ConfigError(
        f"{folder}: there already, but no finished run ({reason}); finish it with bakeoff resume, remove it, "
        "or choose another sweep.name"
    )


def _check_with_torch(jobs: Sequence[Job], stop: StopSignal) -> int:
    """Gates 2 and 3 need torch and the data: one child passes all jobs through them.

    Returns:
        Its exit code; it says itself what is wrong.

    Raises:
        ResourceError: the child was killed.
        InterruptedRunError: a signal, of which the child has said nothing.
    """
    code = _run_child("bakeoff.sweeps.torch_gates", [job.values for job in jobs], stop)
    if code != InterruptedRunError.exit_code:
        stop.check()
    if code < 0:
        raise ResourceError(f"the check of all jobs was {_ended_by(code)}")
    return code


def _run_child(module: str, content: object, stop: StopSignal) -> int:
    """Runs a module that reads JSON from standard input; its exit code, negative for a signal's number.

    The child has a process group of its own, so that Ctrl-C reaches this process alone, which hands
    each signal on once: the first lets the child end at its next border, a second ends it at once.
    """
    child = subprocess.Popen([*_PYTHON, module], stdin=subprocess.PIPE, text=True, process_group=0)
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # it died while it started: its exit code says how
        json.dump(content, child.stdin)
        child.stdin.close()
    stop.ends_at_second = False
    try:
        return _wait(child, stop)
    finally:
        stop.ends_at_second = True


def _wait(child: "subprocess.Popen[str]", stop: StopSignal) -> int:
    """Waits for the child and hands signals on; a child that does not end by the second one is killed."""
    handed_on, ends = 0, math.inf
    while True:
        if handed_on < stop.count and stop.name is not None:
            handed_on += 1
            # A child that the terminal has stopped (`stty tostop`) has to go on to see it.
            child.send_signal(signal.Signals[stop.name])
            child.send_signal(signal.SIGCONT)
            if handed_on == _MOST_SIGNALS:
                ends = time.monotonic() + _SECONDS_TO_END
        if time.monotonic() > ends or stop.count > _MOST_SIGNALS:
            child.kill()
        try:
            return child.wait(timeout=_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            continue


def _ended_by(code: int) -> str:
    """A child's negative exit code in words."""
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    hint = (
        " (the system does that when memory runs out; lower trainer.batch_size)" if name == "SIGKILL" else ""
    )
    return f"ended by {name}{hint}"
