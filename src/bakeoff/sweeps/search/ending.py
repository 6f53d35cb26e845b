"""The end of a search: the best configurations are trained again with new seeds, by one of its processes.

Which one does that a lock says: if its process is killed, another one that waits for it takes over.
No torch here.
"""

import time
from collections.abc import Sequence

from bakeoff.config.studies import StudyPlan
from bakeoff.errors import InterruptedRunError
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.states import FINISHED, RUNNING, state_or_lost
from bakeoff.sweeps.ledger import CANCEL, now
from bakeoff.sweeps.plan import Planned, looked_at_again, planned_of
from bakeoff.sweeps.run import train_all
from bakeoff.sweeps.search.begin import Opened
from bakeoff.sweeps.search.best import write_experiment
from bakeoff.sweeps.search.confirm import confirmed, to_confirm
from bakeoff.sweeps.search.told import called, confirmed_lines, end_lines, result_line
from bakeoff.sweeps.search.trial import Trial
from bakeoff.sweeps.search.workers import CONFIRM_LOCK, FolderLock
from bakeoff.text import counted

_SECONDS_BETWEEN_TRIES = 0.5


def end(search: Opened, stop: StopSignal) -> None:
    """Ends a search whose trials have all ended, or waits for the process that does.

    Raises:
        InterruptedRunError: a signal, or `bakeoff cancel`.
    """
    lock = FolderLock(search.ledger.folder / CONFIRM_LOCK)
    if not lock.try_to_hold():
        with doing("waiting for the process that trains the best configurations again"):
            while not lock.try_to_hold():
                stop.check()
                if (search.ledger.folder / CANCEL).exists():
                    raise InterruptedRunError("stopped by bakeoff cancel")
                time.sleep(_SECONDS_BETWEEN_TRIES)
    try:
        search.record.read()
        if search.record.ended is None:
            _end(search, stop)
    finally:
        lock.let_go()


def _end(search: Opened, stop: StopSignal) -> None:
    checked, record = search.checked, search.record
    trials = record.write(search.studies)
    names = [metric.name for metric in checked.rules.metrics]
    for text, style in end_lines(trials, checked.plans, names):
        tell(text, style=style)
    chosen = [
        trial
        for plan in checked.plans
        for trial in to_confirm(
            [trial for trial in trials if trial.study == plan.name],
            checked.rules.directions,
            checked.options.confirm,
        )
    ]
    if chosen:
        record.confirmed = _confirmed(search, chosen, stop, names)
        for text, style in confirmed_lines(record.confirmed, trials, names[0]):
            tell(text, style=style)
    written = {plan.name: _written(search, plan, trials, names) for plan in checked.plans}
    best = _best(search, trials)
    if best is not None:
        record.best = {"study": best.study, "number": best.number, "experiment": written[best.study]}
    record.ended = now()
    record.write(search.studies, ends=True)


def _written(search: Opened, plan: StudyPlan, trials: Sequence[Trial], metrics: Sequence[str]) -> str | None:
    """The file of a study's best configuration, below the sweep's folder; None if no trial has finished."""
    best = _best(search, [trial for trial in trials if trial.study == plan.name])
    if best is None:
        return None
    folder, plans = search.checked.folder, search.checked.plans
    name = f"{folder.name}-{plan.name}" if len(plans) > 1 else folder.name
    result = result_line(best, search.record.confirmed, metrics)
    path = write_experiment(folder, name, search.checked.line, plan, best, result)
    return str(path.relative_to(folder))


def _confirmed(
    search: Opened, chosen: Sequence[Trial], stop: StopSignal, metrics: Sequence[str]
) -> list[dict[str, object]]:
    checked, ledger = search.checked, search.ledger
    plans = {plan.name: plan for plan in checked.plans}
    seeds = range(checked.rules.seed + 1, checked.rules.seed + 1 + checked.options.confirm_seeds)
    planned: list[Planned] = []
    runs: dict[tuple[str, int], list[str]] = {}
    for trial in chosen:
        own = []
        for seed in seeds:
            name = f"{called(trial, several=len(plans) > 1)} seed={seed}"
            own.append(planned_of(checked.job(plans[trial.study], trial.params, seed), name))
        planned += own
        runs[trial.study, trial.number] = [item.entry.folder for item in own]
    folders = [item.entry.folder for item in planned]
    ledger.mine.update(folders)
    ledger.add(item.entry for item in planned)
    planned = _at_rest(planned, stop)
    for item in planned:
        ledger.set(item.entry.folder, state=item.state.state, reason=item.state.reason)
    ledger.write(owned=True)
    left = sum(not item.is_done for item in planned)
    if left:
        best = f"the best {len(chosen)} configurations" if len(chosen) > 1 else "the best configuration"
        which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
        tell(f"training {best} again, with {which}: {counted(left, 'run')}")
        train_all(ledger, planned, checked.slots, stop)
    finished = {
        key: [name for name in own if state_or_lost(checked.folder / name).state == FINISHED]
        for key, own in runs.items()
    }
    return confirmed(checked.folder, chosen, finished, metrics)


def _at_rest(planned: Sequence[Planned], stop: StopSignal) -> list[Planned]:
    """The same, once none of them runs: jobs live for a moment longer than the process that was killed."""
    while True:
        now = looked_at_again(planned)
        if not any(item.state.state == RUNNING for item in now):
            return now
        stop.check()
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _best(search: Opened, trials: Sequence[Trial]) -> Trial | None:
    """The one with the best mean of the confirmation, or without one, of the search; by the first metric."""
    sign = -1.0 if search.checked.rules.metrics[0].is_larger_better else 1.0
    known = {(trial.study, trial.number): trial for trial in trials}
    rows = [row for row in search.record.confirmed if isinstance(row.get("mean"), int | float)]
    if rows := [row for row in rows if (row["study"], row["number"]) in known]:
        row = min(rows, key=lambda row: sign * row["mean"])
        return known[row["study"], row["number"]]
    done = [trial for trial in trials if trial.values is not None]
    return min(done, key=lambda trial: (sign * trial.values[0], trial.number), default=None)  # type: ignore[index]
