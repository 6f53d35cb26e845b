"""`bakeoff resume SWEEP`: what is left of a sweep, from its ledger and directories alone. No torch here."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bakeoff.config.job import Job
from bakeoff.errors import OK, ResumeError
from bakeoff.experiment.code import changed_files
from bakeoff.machine.limits import usable_cores
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.runs import attempts
from bakeoff.runs.paths import data_root_here
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import CONFIG
from bakeoff.runs.stored_overrides import stored_overrides
from bakeoff.sweeps.folders import begin_again
from bakeoff.sweeps.ledger import Entry, Ledger, command_of, read_ledger
from bakeoff.sweeps.naming import is_to_do
from bakeoff.sweeps.owner import owned
from bakeoff.sweeps.plan import Planned, looked_at_again, plan, to_be_tried
from bakeoff.sweeps.reporting import is_wanted
from bakeoff.sweeps.run import checked, compared, work
from bakeoff.sweeps.slots import AUTO
from bakeoff.text import counted, shortened

_ANY_NAME = "sweep"  # a valid one: each run's folder is given


def resume_sweep(
    folder: Path, stop: StopSignal, data_root: str | None = None, *, retries: bool = False
) -> int:
    """Does what is missing, failed or was stopped of a sweep.

    Args:
        folder: the sweep's.
        stop: the signals that came.
        data_root: where its data are now; None: where they were, or else with all data sets.
        retries: whether runs that have diverged are trained again, from their beginning.

    Returns:
        0, or 7 if a run failed.

    Raises:
        ResumeError: a run's directory is gone, or what it began with has changed.
        BakeoffError: as in `run_sweep`.
    """
    try:
        ledger = read_ledger(folder)
    except UnreadableFileError as error:
        raise ResumeError(f"{folder}: {error}; give the command of this sweep again") from error
    again = command_of(ledger, f"sweep.name={ledger.name}")
    if ledger.command == "race":
        from bakeoff.sweeps.race.begin import go_on

        return go_on(ledger, lambda entry: _job(ledger, entry, data_root, again), stop)
    if ledger.command == "tune":
        from bakeoff.sweeps.search.again import go_on as go_on_searching

        return go_on_searching(ledger, stop, data_root)
    todo = [entry for name, entry in ledger.entries.items() if is_to_do(ledger, name, retries)]
    done = len(ledger.entries) - len(todo)
    tell(f"sweep {folder}: {counted(len(ledger.entries), 'run')}, {done} of them done already")
    if not todo:
        return compared(folder, reports=is_wanted(ledger.options, ledger.line))
    # Each run is where the ledger lies, wherever that was moved to, and not where its config would put it.
    jobs = [_job(ledger, entry, data_root, again) for entry in todo]
    planned = to_be_tried(plan(jobs, stop, [ledger.run(entry) for entry in todo]), retries)
    _refuse_changed(ledger, todo, planned, again)
    options = ledger.options
    if options.jobs == AUTO:  # as all of its runs have decided, of which some are done
        options = replace(options, jobs=min(ledger.jobs_at_once, usable_cores()))
    code, chosen = checked(planned, planned, options, stop)
    if code != OK:
        return code
    with owned(folder):
        planned = looked_at_again(planned)
        return work(read_ledger(folder), begin_again(planned) if retries else planned, chosen, stop)


def _job(ledger: Ledger, entry: Entry, data_root: str | None, again: str) -> Job:
    run = ledger.run(entry)
    try:
        values = read_json(run / CONFIG)
    except UnreadableFileError as error:
        # The command writes a config where there is none, and leaves a damaged one.
        remove = "remove it, and " if os.path.lexists(run / CONFIG) else ""
        raise ResumeError(f"{run}: {error}; {remove}make the directory anew with: {again}") from error
    values.pop("schema", None)
    try:
        data = values["data"]
        data["root"] = data_root or data_root_here(str(data["name"]), str(data["root"]))
        # Where the sweep is now, and not where it was when it began; the folder may have any name by now.
        values["output_dir"], values["sweep"]["name"] = str(ledger.folder.parent.parent), _ANY_NAME
    except (TypeError, KeyError) as error:
        raise ResumeError(f"{run / CONFIG}: it has no {error}; it cannot go on") from error
    return Job(values, stored_overrides(run))


def _refuse_changed(ledger: Ledger, entries: Sequence[Entry], planned: Sequence[Planned], again: str) -> None:
    """Config and data are those of the directories; code and data may be others by now."""
    changed = [
        entry.folder
        for entry, item in zip(entries, planned, strict=True)
        if item.entry.identity != entry.identity
    ]
    if changed:
        files = sorted({name for folder in changed for name in _changed_files(ledger.folder / folder)})
        told = f"; changed: {shortened(files, 3)}" if files else ""
        raise ResumeError(
            f"{ledger.folder}: code or data have changed since {counted(len(changed), 'run')} of it began "
            f"({shortened(changed, 3)}{told}); put that back, or train what is left anew with: {again}"
        )


def _changed_files(run: Path) -> list[str]:
    """Sources that were others when a run began; none of one that had not begun."""
    with suppress(ResumeError, UnreadableFileError):
        first = next((record.get("first") for record in attempts.records(run)), None)
        before = first.get("code") if isinstance(first, dict) else None
        if isinstance(before, dict):
            return changed_files(before, read_json(run / CONFIG))
    return []
