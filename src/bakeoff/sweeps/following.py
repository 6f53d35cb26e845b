"""Follows a sweep or a run that another terminal or machine works on. It only reads. No torch here."""

import sys
import time
from functools import partial
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.experiment.epoch_table import epoch_line, headings
from bakeoff.machine.signals import StopSignal, standing_still, stop_here
from bakeoff.machine.waiting import Bar, tell, watched
from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.runs.folders import LEDGER
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.records import EpochRecord
from bakeoff.runs.rundir import CONFIG
from bakeoff.runs.states import BAD, QUEUED, RUNNING, RunState, state_of
from bakeoff.sweeps.ledger import Ledger, read_ledger
from bakeoff.sweeps.locate import word_for
from bakeoff.sweeps.standing import JobStanding, Looks, Standing
from bakeoff.sweeps.table import summary_lines
from bakeoff.sweeps.view import SweepView, make_view
from bakeoff.terminal import screen_width
from bakeoff.text import counted

_SECONDS_BETWEEN_TICKS = 0.1
_SECONDS_BETWEEN_LOOKS = 0.5
_MOST_EPOCHS_BEFORE = _MOST_FAILURES_BEFORE = 10  # lines of what was before


class LedgerFile:
    """A sweep's ledger, read again whenever it was written."""

    def __init__(self, folder: Path) -> None:
        """Reads it.

        Raises:
            ConfigError: there is none.
        """
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._ledger: Ledger | None = None
        self.read()

    def read(self) -> Ledger:
        """What it says now.

        Raises:
            ConfigError: it is gone.
        """
        try:
            status = (self._folder / LEDGER).stat(follow_symlinks=False)
            seen = (status.st_mtime_ns, status.st_ino)
            if self._ledger is None or seen != self._seen:
                self._ledger, self._seen = read_ledger(self._folder), seen
        except (OSError, UnreadableFileError) as error:
            why = error if isinstance(error, UnreadableFileError) else f"{LEDGER}: {error.strerror}".lower()
            raise ConfigError(f"sweep {self._folder}: {why}; see bakeoff list") from error
        return self._ledger


def follow_sweep(folder: Path, stop: StopSignal) -> tuple[Standing, bool]:
    """Shows a sweep until nobody works on it, or a signal comes.

    Returns:
        How it stood then, and whether its failures were told: not where nobody worked on it from the first.

    Raises:
        ConfigError: it has no ledger.
    """
    file = LedgerFile(folder)
    ledger = file.read()
    looks = Looks(ledger)
    standing = looks.look()
    if not standing.is_worked_on:
        return standing, False
    tell(f"sweep {folder}" if watched() else f"sweep {folder}: {summary_lines(standing, None)[0]}")
    failed = [job for job in standing.jobs if job.state.state in BAD]
    failed.sort(key=lambda job: job.entry.ended or "")
    if (more := len(failed) - _MOST_FAILURES_BEFORE) > 0:
        tell(f"({more:,} that failed before these; see bakeoff show {word_for(folder)})")
    with (
        make_view(ledger, list(ledger.entries.values()), looks) as view,
        standing_still(partial(_stand_still, view)),
    ):
        for job in failed[-_MOST_FAILURES_BEFORE:]:
            view.ended(job.entry, job.state)
        while standing.is_worked_on and stop.name is None:
            view.tick()
            time.sleep(_SECONDS_BETWEEN_TICKS)
            looks.ledger = file.read()
            before, standing = standing, looks.look()
            if standing is not before:
                _tell_changes(view, before, standing)
    return standing, True


def _tell_changes(view: SweepView, before: Standing, now: Standing) -> None:
    known = {job.entry.folder: job for job in before.jobs}
    for job in now.jobs:
        if _has_ended(known.get(job.entry.folder), job):
            view.ended(job.entry, job.state)
    for job in now.running:  # those that took the places
        old = known.get(job.entry.folder)
        if old is None or old.state.state != RUNNING:
            view.started(job.entry)


def _has_ended(old: JobStanding | None, job: JobStanding) -> bool:
    """Whether it ran at the look before, or began and ended since then."""
    if old is None or job.state.state in (old.state.state, RUNNING):
        return False
    return old.state.state == RUNNING or old.entry.ended != job.entry.ended


def _stand_still(view: SweepView) -> None:
    """Ctrl-Z: the table goes away, and comes back after `fg`."""
    view.pause()
    stop_here()
    view.go_on()


def follow_run(run: Path, stop: StopSignal) -> RunState:
    """Prints the epochs of a run as they come, until nobody works on it or a signal comes.

    Returns:
        How far it was then.
    """
    state = _state(run)
    if state.state != RUNNING:
        return state
    epochs = _epochs(run)
    lines = EpochLines(run)
    tell(f"run {run}: {counted(epochs, 'epoch')} at most" if epochs else f"run {run}")
    told = _Told(epochs)
    with Bar("training", epochs, unit="epochs") if epochs else _NoBar() as bar:
        while True:
            state = _state(run)  # before the epochs, so that the last of them are told
            lines.look()
            told.tell(lines.records)
            if lines.records:
                bar.move_to(lines.records[-1].epoch)
            if state.state != RUNNING or stop.name is not None:
                return state
            time.sleep(_SECONDS_BETWEEN_LOOKS)


class _NoBar(Bar):
    def __init__(self) -> None:
        self._bar = None


class _Told:
    """What was told of a run's epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._last = 0  # epoch
        self._is_first = True

    def tell(self, records: list[EpochRecord]) -> None:
        """Prints what is new; of a run that went back to a checkpoint, what comes after that."""
        self._last = min(self._last, records[-1].epoch if records else 0)
        new = [record for record in records if record.epoch > self._last]
        if not new:
            return
        self._last = new[-1].epoch
        width = screen_width(sys.stdout)
        most = max(self._epochs, self._last)
        if self._is_first:
            self._is_first = False
            if len(new) > _MOST_EPOCHS_BEFORE:
                tell(f"({counted(len(new) - _MOST_EPOCHS_BEFORE, 'epoch')} before these)")
                new = new[-_MOST_EPOCHS_BEFORE:]
            for line in headings(new[0], most, width):
                tell(line)
        for record in new:
            tell(epoch_line(record, most, width))


def _state(run: Path) -> RunState:
    """Running, too, if it waits for its turn in a sweep that somebody works on."""
    try:
        state = state_of(run)
    except UnreadableFileError as error:
        raise ConfigError(f"run {run}: {error}") from error
    if state.state == RUNNING or not (run.parent / LEDGER).is_file():
        return state
    try:
        ledger = read_ledger(run.parent)
    except UnreadableFileError:
        return state
    if run.name not in ledger.entries or not ledger.is_worked_on:
        return state
    found = Looks(ledger).of(run.name).state
    return RunState(RUNNING) if found.state in (QUEUED, RUNNING) else found


def _epochs(run: Path) -> int:
    """How many there are to be at most; 0 if that is not known."""
    try:
        epochs = read_json(run / CONFIG)["trainer"]["epochs"]
    except (UnreadableFileError, KeyError, TypeError):
        return 0
    return epochs if type(epochs) is int and 0 < epochs < 10**9 else 0
