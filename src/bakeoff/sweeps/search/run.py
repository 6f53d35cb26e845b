"""A search: trials until all have ended, then the best are trained again, and what is compared is compared.

What is stored decides, so a search that was killed goes on to the same trials, and several processes may
work on it. No torch here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import CommandLine
from bakeoff.errors import OK, InterruptedRunError, ResourceError
from bakeoff.machine.load import busy_note, current_load
from bakeoff.machine.signals import StopSignal, stopped_by
from bakeoff.machine.waiting import tell
from bakeoff.runs.states import FAILED, RunState
from bakeoff.sweeps.ledger import Entry
from bakeoff.sweeps.locate import word_for
from bakeoff.sweeps.owner import owned
from bakeoff.sweeps.reporting import is_wanted
from bakeoff.sweeps.run import compared
from bakeoff.sweeps.scheduler import Scheduler
from bakeoff.sweeps.search.begin import Checked, Opened, check, opened
from bakeoff.sweeps.search.dry_run import tell_estimate
from bakeoff.sweeps.search.ending import end
from bakeoff.sweeps.search.search import Search
from bakeoff.sweeps.search.study import Study
from bakeoff.sweeps.search.told import best_lines, heading_lines, trial_line
from bakeoff.sweeps.search.trial import OVER, Trial
from bakeoff.sweeps.standing import Looks
from bakeoff.sweeps.view import SweepView
from bakeoff.text import counted


def run_tune(
    line: CommandLine,
    options: TuneConfig,
    named: Callable[[str, str | None], str],
    words: Sequence[str],
    dry_run: bool,
    stop: StopSignal,
) -> int:
    """Begins a search, goes on with it, or helps those that work on it.

    Args:
        line: the command line without the words of `tune.*`.
        options: those words.
        named: gives the sweep its name (`naming.sweep_namer`).
        words: of the command line, that make a difference.
        dry_run: whether to check and list alone.
        stop: the signals that came.

    Returns:
        0, or 7 if a trial failed.

    Raises:
        BakeoffError: before anything is created, if a config, the data or the storage is not right.
        InterruptedRunError: a signal, or `bakeoff cancel`; the same command goes on.
    """
    code, checked = check(line, options, named, stop)
    if checked is None:
        return code  # the child has said why
    lines = heading_lines(checked.folder, checked.plans, options, checked.rules.pruner, len(checked.slots))
    for text in lines:
        tell(text)
    if dry_run:
        tell_estimate(checked)
        tell("everything is in order; not trained (--dry-run)")
        return OK
    with owned(checked.folder, shared=True):
        search = opened(checked, words)
        if search.record.ended is None:
            tell_estimate(checked)
            with _worked_on(search):
                if not _searched(search, stop):
                    tell("stopped after the first failure (sweep.on_failure=stop)")
                    return compared(checked.folder, ["a trial"])
                end(search, stop)
        else:
            search.ledger.write(owned=False)
    failed = [
        stored.trial.run or ""
        for study in search.studies
        for stored in study.stored()
        if stored.trial.state == FAILED
    ]
    code = compared(checked.folder, failed, reports=is_wanted(search.ledger.options, search.ledger.line))
    for text in best_lines(checked.folder):
        print(text)  # not broken at spaces: it is copied
    return code


@contextmanager
def _worked_on(search: Opened) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ResourceError):  # the directories and the storage say what is
            search.ledger.write(owned=False)


class _View(SweepView):
    """As of a sweep; how a trial ended the search says, which knows its number."""

    def ended(self, entry: Entry, state: RunState) -> None:
        """Nothing."""


def _searched(search: Opened, stop: StopSignal) -> bool:
    """Works until all trials have ended; whether they have.

    Raises:
        InterruptedRunError: a signal, or `bakeoff cancel`.
    """
    checked, ledger = search.checked, search.ledger
    threads = checked.slots[0].threads
    if busy := busy_note(current_load(), threads * len(checked.slots), in_sweep=True):
        tell(f"note: {busy}")
    for study in search.studies:
        if study.is_smaller:
            tell(f"note: {study.name} has {counted(study.budget, 'combination')}; its study ends after them")
    view = _View(Looks(ledger), [])
    search.patience.say = view.say
    roots: dict[str, str] = {}
    source = Search(search.studies, search.record, ledger, checked.job, roots, stop)
    source.say, source.told = view.say, _teller(checked, search.studies, view)
    try:
        scheduler = Scheduler(ledger, checked.slots, roots, view, stop)
        scheduler.run(source)
    finally:
        view.close()
        search.patience.say = tell
    if stop.name is not None or scheduler.cancelled:
        raise InterruptedRunError(_stopped(search, stop))
    return source.is_over


def _teller(
    checked: Checked, studies: Sequence[Study], view: SweepView
) -> Callable[[Study, Trial, RunState], None]:
    names = [metric.name for metric in checked.rules.metrics]

    def told(_: Study, trial: Trial, state: RunState) -> None:
        trials = [stored.trial for one in studies for stored in one.stored()]
        budget, several = sum(one.budget for one in studies), len(studies) > 1
        text, style = trial_line(trial, trials, budget, names, state, several=several)
        view.say(text, style)

    return told


def _stopped(search: Opened, stop: StopSignal) -> str:
    why = stopped_by(stop.name) if stop.name is not None else "stopped by bakeoff cancel"
    trials = search.record.write(search.studies)
    done = sum(trial.state in OVER for trial in trials)
    budget = sum(study.budget for study in search.studies)
    go_on = f"go on with the same command, or with bakeoff resume {word_for(search.ledger.folder)}"
    return f"{why}; {done} of {counted(budget, 'trial')} finished; {go_on}"
