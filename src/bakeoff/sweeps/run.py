"""A sweep: all combinations are checked first, then each becomes a directory and a process. No torch here.

What is done already, and what is to do, the directories say; so the same command again does what is missing,
failed or was stopped, and nothing twice.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from bakeoff.comparison.output.printing import print_comparison
from bakeoff.config.job import Job
from bakeoff.config.schema import SweepConfig
from bakeoff.errors import OK, SOME_RUNS_BAD, InterruptedRunError, ResourceError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.load import busy_note, current_load
from bakeoff.machine.signals import StopSignal, stopped_by
from bakeoff.machine.waiting import tell
from bakeoff.runs.states import DIVERGED, DONE, LEFT_ALONE
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.dry_run import show_plan
from bakeoff.sweeps.folders import begin_again, drop_removed, drop_replaced, make_folders
from bakeoff.sweeps.gates_child import check_with_torch
from bakeoff.sweeps.ledger import CANCEL, Entry, Ledger, begun
from bakeoff.sweeps.locate import word_for
from bakeoff.sweeps.naming import sweep_with
from bakeoff.sweeps.owner import owned
from bakeoff.sweeps.plan import Planned, looked_at_again, plan, settle_stale, to_be_tried
from bakeoff.sweeps.reporting import is_wanted, write_own_report
from bakeoff.sweeps.scheduler import Scheduler
from bakeoff.sweeps.slots import AUTO, Size, side_by_side_note, slots
from bakeoff.sweeps.source import Listed
from bakeoff.sweeps.view import make_view
from bakeoff.text import counted


class Conclude(Protocol):
    """What is done when a sweep has ended: with its folder, what failed, and how many runs could be done."""

    def __call__(
        self, folder: Path, failed: Sequence[str] = (), left: int = 0, *, reports: bool = False
    ) -> int:
        """Gives the exit code."""


def run_sweep(
    jobs: Sequence[Job],
    line: Sequence[str],
    dry_run: bool,
    stop: StopSignal,
    *,
    check: Callable[[Sequence[Job], StopSignal], tuple[int, list[Size]]] = check_with_torch,
    conclude: Conclude | None = None,
) -> int:
    """Checks every job, trains those that are not done, and prints the comparison.

    Args:
        jobs: what the command line asks for.
        line: its words that make a difference (`naming.own_words`).
        dry_run: whether to check and list alone.
        stop: the signals that came.
        check: passes jobs through gates 2 and 3, and gives their sizes.
        conclude: what to do at the end; None: `compared`.

    Returns:
        0, or 7 if a run failed.

    Raises:
        BakeoffError: before anything is created, if a job's config, data or folder is not right.
        InterruptedRunError: a signal; the jobs that had not begun are not started.
    """
    options = check_shared(jobs[0].values).sweep
    planned = settle_stale(plan(jobs, stop), options.stale, tell)
    retries = options.retry == DIVERGED
    tried = to_be_tried(planned, retries)
    todo = [item for item in tried if not item.is_done]
    code, chosen = checked(tried, todo, options, stop, check)
    if code != OK:
        return code  # the child has said why
    folder = planned[0].folder.parent
    done = len(planned) - len(todo)
    at_once = min(len(chosen), len(todo))
    side = f", {at_once} runs at once" if at_once > 1 else ""
    tell(f"sweep {folder}: {counted(len(planned), 'run')}, {done} of them done already{side}")
    if not folder.exists() and (note := sweep_with(planned)):
        tell(note)
    if dry_run:
        show_plan(tried, chosen)
        return OK
    if not todo:
        return (conclude or compared)(folder, reports=is_wanted(options, line))
    with owned(folder):
        planned = looked_at_again(planned)
        planned = begin_again(planned) if retries else planned
        ledger = begun(folder, line)
        ledger.options = options
        drop_removed(ledger)
        for entry in drop_replaced(ledger, planned):
            tell(f"note: {entry.folder} was begun with other code; it is trained anew, and stays as it is")
        ledger.add(item.entry for item in planned)
        return work(ledger, planned, chosen, stop, conclude)


def work(
    ledger: Ledger,
    planned: Sequence[Planned],
    chosen: Sequence[Slot],
    stop: StopSignal,
    conclude: Conclude | None = None,
) -> int:
    """Runs what is to do of a sweep that this process owns, and prints the comparison.

    Returns:
        0, or 7 if a run failed.

    Raises:
        InterruptedRunError: a signal, or `bakeoff cancel`.
    """
    with worked_on(ledger):
        failed, waiting = train_all(ledger, planned, chosen, stop)
    if waiting:
        tell(
            f"stopped after the first failure (sweep.on_failure=stop); {counted(len(waiting), 'run')} "
            "not started"
        )
    left = sum(entry.state not in LEFT_ALONE for entry in ledger.entries.values())
    reports = is_wanted(ledger.options, ledger.line)
    return (conclude or compared)(ledger.folder, failed, left, reports=reports)


@contextmanager
def worked_on(ledger: Ledger) -> Iterator[None]:
    """For the block the ledger says that this process works on the sweep."""
    with suppress(FileNotFoundError):
        (ledger.folder / CANCEL).unlink()  # it was meant for a process that is gone
    ledger.write(owned=True)  # before the directories, so that nothing is left that no ledger knows
    try:
        yield
    finally:
        with suppress(ResourceError):  # the directories say what is
            ledger.write(owned=False)


def train_all(
    ledger: Ledger,
    planned: Sequence[Planned],
    chosen: Sequence[Slot],
    stop: StopSignal,
    source: Callable[[Sequence[Entry]], Listed] = Listed,
) -> tuple[list[str], list[Entry]]:
    """Trains what is to do of some runs of a sweep.

    Args:
        ledger: of the sweep, which this process works on.
        planned: runs that it has.
        chosen: what those that run at once may use.
        stop: the signals that came.
        source: hands out what is to do.

    Returns:
        The folders of those that failed, and those that were not started because one failed, or in time.

    Raises:
        InterruptedRunError: a signal, or `bakeoff cancel`.
    """
    for item in planned:
        ledger.set(item.entry.folder, state=item.state.state, reason=item.state.reason)
    todo = [ledger.entries[item.entry.folder] for item in planned if not item.is_done]
    ledger.jobs_at_once, ledger.threads_per_job = len(chosen), chosen[0].threads
    ledger.write(owned=True)
    make_folders(planned)
    each = max(item.job.values["trainer"].get("threads") or chosen[0].threads for item in planned)
    if busy := busy_note(current_load(), each * len(chosen), in_sweep=True):
        tell(f"note: {busy}")
    roots = {item.entry.folder: str(item.job.values["data"]["root"]) for item in planned}
    with make_view(ledger, todo) as view:
        scheduler = Scheduler(ledger, chosen, roots, view, stop)
        waiting = scheduler.run(source(todo))
    if stop.name is not None or scheduler.cancelled:
        raise InterruptedRunError(_stopped(ledger, stop, len(waiting)))
    return scheduler.failed, waiting


def checked(
    planned: Sequence[Planned],
    todo: Sequence[Planned],
    options: SweepConfig,
    stop: StopSignal,
    check: Callable[[Sequence[Job], StopSignal], tuple[int, list[Size]]] = check_with_torch,
) -> tuple[int, list[Slot]]:
    """Gates 2 and 3, and how many jobs run at once.

    By the sizes of all jobs, those that are done too: else the rest would be trained with other threads.
    """
    sizes: list[Size] = []
    asked = planned if options.jobs == AUTO else todo
    if todo:
        code, sizes = check([item.job for item in asked], stop)
        if code != OK:
            return code, []
    chosen = slots(options.jobs, sizes)
    if len(todo) > 1 and (note := side_by_side_note(chosen[: len(todo)], sizes)):
        tell(f"note: {note}")
    return OK, chosen


def _stopped(ledger: Ledger, stop: StopSignal, waiting: int) -> str:
    """What happened and how it goes on."""
    why = stopped_by(stop.name) if stop.name is not None else "stopped by bakeoff cancel"
    states = [entry.state for entry in ledger.entries.values()]
    finished = sum(state in DONE for state in states)
    left = f"{finished} of {counted(len(states), 'run')} finished"
    left += f", {waiting} not started" if waiting else ""
    return f"{why}; {left}; go on with the same command, or with bakeoff resume {word_for(ledger.folder)}"


def compared(folder: Path, failed: Sequence[str] = (), left: int = 0, *, reports: bool = False) -> int:
    """Prints the comparison of a sweep, and what comes next.

    Args:
        folder: the sweep's.
        failed: runs that failed now.
        left: how many runs could be done still.
        reports: whether to write its report, too.

    Returns:
        0, or 7 if a run failed, now or before.
    """
    print(flush=True)
    code = print_comparison([folder])
    code = SOME_RUNS_BAD if failed else code
    name = word_for(folder)
    output = write_own_report(folder) if reports else None
    print(f"sweep          {folder}")  # not broken at spaces: they are copied
    if output:
        print(f"report         {output}")
    if left:
        print(f"next           bakeoff resume {name}   ({counted(left, 'run')} left to train)")
    else:  # of a run that has failed or diverged, `show` says why, and what to do
        print(f"next           bakeoff {'list' if code == OK else 'show'} {name}")
    return code
