"""The directories of a sweep's runs: made before the first job starts, so that each holds what was checked.

No torch here.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.config.settled import with_absolute_paths
from bakeoff.errors import ConfigError
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import doing
from bakeoff.models.weights.origin import NAMES
from bakeoff.runs.attempts import FOLDER as ATTEMPTS
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import CONFIG, LAST_WEIGHTS, STATUS, RunDir
from bakeoff.runs.states import DIVERGED, QUEUED, state_of
from bakeoff.runs.storage import storage_errors
from bakeoff.sweeps.ledger import Entry, Ledger
from bakeoff.sweeps.plan import Planned, to_be_tried


def make_folders(planned: Sequence[Planned]) -> None:
    """Makes the directories that are not there, and writes what a killed process has left out.

    To be called by the one process that works on the sweep.

    Raises:
        ResourceError: one cannot be made.
    """
    todo = [item for item in planned if not item.is_done]
    for number, item in enumerate(todo, start=1):
        check_stop()
        with doing(f"making run directory {number} of {len(todo)}"):
            make_folder_of(item)


def make_folder_of(item: Planned) -> None:
    """Makes the directory of one run, or writes what is missing in it.

    Raises:
        ResourceError: it cannot be made.
    """
    # A folder without a config is one that was claimed by a process that was killed at that moment.
    with suppress(ConfigError):
        RunDir.create(item.folder)
    run = RunDir(item.folder)
    if not (item.folder / STATUS).exists():
        run.write_status(QUEUED, 0)
    if not (item.folder / CONFIG).exists():
        run.write_config(with_absolute_paths(item.job.values, NAMES), item.job.overrides)


def begin_again(planned: Sequence[Planned]) -> list[Planned]:
    """Puts diverged runs back to their beginning; their logs stay."""
    for item in planned:
        if item.state.state == DIVERGED:
            Checkpoints(item.folder, keep=1).remove()
            with storage_errors(item.folder):
                (item.folder / LAST_WEIGHTS).unlink(missing_ok=True)
            RunDir(item.folder).write_status(QUEUED, 0)
    return to_be_tried(planned, retries=True)


def drop_removed(ledger: Ledger) -> None:
    """Takes out of the ledger what a person has removed; the runs of the command line come back by it."""
    for entry in list(ledger.entries.values()):
        if not os.path.lexists(ledger.run(entry)):
            del ledger.entries[entry.folder]


def drop_replaced(ledger: Ledger, planned: Sequence[Planned]) -> list[Entry]:
    """Takes out of the ledger unfinished runs that would now be trained by other code, as another run.

    A directory of which nothing was trained goes with it; another one stays, and is no longer of the sweep.

    Returns:
        Those with something in them.
    """
    now = {(item.entry.setting, item.entry.seed): item.entry.folder for item in planned}
    left = []
    for entry in list(ledger.entries.values()):
        if now.get((entry.setting, entry.seed), entry.folder) == entry.folder:
            continue
        del ledger.entries[entry.folder]
        run = ledger.run(entry)
        if _was_begun(run):
            left.append(entry)
        else:
            shutil.rmtree(run, ignore_errors=True)
    return left


def _was_begun(run: Path) -> bool:
    with suppress(UnreadableFileError):
        return state_of(run).state != QUEUED or (run / ATTEMPTS).exists()
    return True
