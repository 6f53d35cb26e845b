"""`bakeoff watch RUN|SWEEP`: follows what another terminal or machine trains; it only reads. No torch."""

import shlex
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError, InterruptedRunError
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.folders import is_sweep_dir, sweep_dirs
from bakeoff.runs.locate import find_run_dirs, outputs_root
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY as SUMMARY_FILE
from bakeoff.runs.states import BAD, DONE, FINISHED, RUNNING, RunState, state_or_lost
from bakeoff.runs.studies import is_open
from bakeoff.sweeps.following import follow_run, follow_sweep
from bakeoff.sweeps.ledger import is_worked_on
from bakeoff.sweeps.locate import LATEST, find_run_or_sweep, word_for
from bakeoff.sweeps.standing import Standing
from bakeoff.sweeps.table import name_of, summary_lines
from bakeoff.text import one_line, percent, printable

USAGE = "watch [RUN|SWEEP]"
SUMMARY = "follow what another terminal or machine trains"
_MOST_FAILURES = 10


def watch(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: no such sweep or run, or nothing to watch.
    """
    options = parser().parse_args(words)
    root = outputs_root()
    stop = StopSignal()
    with stop.caught():
        found = _newest(root) if options.name in (None, LATEST) else find_run_or_sweep(options.name, root)
        if is_sweep_dir(found):
            return _end_of_sweep(found, *follow_sweep(found, stop))
        return _end_of_run(found, follow_run(found, stop))


def _newest(root: Path) -> Path:
    """The newest sweep that is worked on, or else the newest run."""
    sweeps = sweep_dirs(root)
    for sweep in sweeps:
        if is_worked_on(sweep):
            return sweep
    with doing("looking for a run"):
        running = [run for run in find_run_dirs(root) if state_or_lost(run).state == RUNNING]
    if running:
        return max(running, key=lambda run: run.stat().st_mtime)
    newest = f"; see how the newest sweep stands: bakeoff watch {word_for(sweeps[0])}" if sweeps else ""
    raise ConfigError(f"nothing is being trained below {root}{newest}")


def _end_of_sweep(folder: Path, standing: Standing, failures_told: bool) -> int:
    name = word_for(folder)
    if standing.is_worked_on:
        tell("the sweep goes on")
        print(f"watch again    bakeoff watch {name}")
        print(f"stop it        bakeoff cancel {name}")
        return InterruptedRunError.exit_code
    counts, *rest = summary_lines(standing, None)
    tell(f"sweep {folder}: {counts}; nobody works on it")
    for line in rest:
        tell(line.replace(" so far", ""))
    failed = [job for job in standing.jobs if job.state.state in BAD]
    for job in () if failures_told else failed[:_MOST_FAILURES]:
        reason = printable(one_line(job.state.reason or "", most=None))
        tell(f"{job.state.state}: {name_of(job)}{': ' if reason else ''}{reason}")
    if len(failed) > _MOST_FAILURES and not failures_told:
        tell(f"and {len(failed) - _MOST_FAILURES} more that failed; see bakeoff show {name}")
    goes_on = standing.is_to_resume or is_open(folder)  # a race between two rounds has nothing that waits
    steps = [f"bakeoff resume {name}"] if goes_on else []
    steps += [f"bakeoff show {name}"] if failed and not steps else []
    steps += [f"bakeoff compare {shlex.quote(str(folder))}"] if standing.done else []
    for number, step in enumerate(steps):
        print(f"{'' if number else 'next':14} {step}")
    if standing.waiting or is_open(folder):
        return InterruptedRunError.exit_code
    return SOME_RUNS_BAD if failed else OK


def _end_of_run(run: Path, state: RunState) -> int:
    path = shlex.quote(str(run))
    if state.state == RUNNING:
        tell("the run goes on")
        print(f"watch again    bakeoff watch {path}")
        return InterruptedRunError.exit_code
    said = state.state if state.state in DONE else f"{state.state}, not finished"
    reason = _scored(run) if state.state == FINISHED else printable(one_line(state.reason or "", most=None))
    tell(f"{run.name}: {printable(said)}{': ' if reason else ''}{reason}")
    print(f"run directory  {run}")
    if state.state in DONE:
        print(f"next           bakeoff compare {path}")
        return OK
    if state.may_go_on:
        print(f"next           bakeoff resume {path}")
    return SOME_RUNS_BAD if state.state in BAD else InterruptedRunError.exit_code


def _scored(run: Path) -> str:
    """On the validation images: the test images are for comparisons."""
    try:
        summary = read_json(run / SUMMARY_FILE)
        return (
            f"{percent(summary['val']['accuracy'])} validation accuracy (epoch {int(summary['best_epoch'])})"
        )
    except (UnreadableFileError, LookupError, TypeError, ValueError):
        return ""


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff watch",
        description="Follows a sweep or a run that another terminal or machine works on: the table of a "
        "sweep, the epochs of a run; lines in a pipe. It only reads, and ends when the training ends. "
        "Ctrl-C ends the watching only: the training goes on.",
        epilog="exit codes: 0 all has finished; 2 no such sweep or run; 7 some runs failed;\n"
        "            75 it has not finished: it was stopped, or Ctrl-C ended the watching",
    )
    parser.add_argument(
        "name",
        metavar="RUN|SWEEP",
        nargs="?",
        help="a path, or the beginning of a name; without it, or with latest: the newest sweep that is "
        "worked on, or else the newest run that is trained",
    )
    return parser
