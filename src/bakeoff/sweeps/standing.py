"""Where a sweep stands: by its ledger and its directories alone, so that every terminal shows the same.

A job that has finished is read once; those that run are looked at twice a second, all others rarely. No
torch here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bakeoff.comparison.figures import TOTAL_SECONDS, number_at
from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.runs.reading import UnreadableFileError, moment, read_json
from bakeoff.runs.rundir import CONFIG, SUMMARY
from bakeoff.runs.states import (
    BAD,
    DONE,
    LEFT_ALONE,
    LOST,
    QUEUED,
    RUNNING,
    STOPPED,
    RunState,
    state_of,
)
from bakeoff.runs.studies import tune_of
from bakeoff.sweeps.estimate import epochs_left_seconds, left_for_all, medians, with_estimate
from bakeoff.sweeps.ledger import Entry, Ledger

SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_RARE_LOOKS = 5.0
_MOST_SECONDS = 1e12


@dataclass(frozen=True)
class JobStanding:
    """Where one of its runs stands."""

    entry: Entry
    state: RunState
    epoch: int = 0  # the last one that is over
    epochs: int | None = None  # how many there are to be at most
    share: float = 0.0  # of the training that is done, 0..1
    accuracy: float | None = None  # on validation images, of the last epoch; once finished, of the chosen one
    best: float | None = None
    seconds: float | None = None  # so far, or in all; of parts before a resume at least what epochs took
    left: float | None = None  # seconds; an estimate


@dataclass(frozen=True)
class Standing:
    """Where all of them stand."""

    jobs: tuple[JobStanding, ...]
    is_worked_on: bool
    done: int
    failed: int
    waiting: int  # to be started or taken up again
    best: dict[str, JobStanding]  # by the data: the best by validation so far
    left: float | None  # seconds for all that is to do; an estimate
    left_is_least: bool  # nothing is known of some runs
    to_come: int = 0  # trials of a search that have not begun, and are none of the jobs yet

    @property
    def running(self) -> tuple[JobStanding, ...]:
        """Those that run now."""
        return tuple(job for job in self.jobs if job.state.state == RUNNING)

    @property
    def is_to_resume(self) -> bool:
        """Whether `bakeoff resume` has something to do; diverged runs wait for `sweep.retry`."""
        return any(job.state.state not in LEFT_ALONE for job in self.jobs)


@dataclass
class _Seen:
    """What was read of a job, so as not to read it again."""

    epochs: EpochLines
    plan: tuple[int | None, float | None] | None = None  # most epochs, and most seconds of training
    job: JobStanding | None = None
    ledgers: tuple[Entry, bool] | None = None  # what the ledger said of it, and whether it is worked on
    looked: float = 0.0


@dataclass
class Looks:
    """Looks at a sweep again and again. `ledger` may be replaced by a newer one."""

    ledger: Ledger
    clock: Callable[[], float] = time.time  # seconds since 1970
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _last: tuple[float, Standing] | None = None

    def look(self) -> Standing:
        """Where it stands; what it was half a second ago, if it was looked at then."""
        now = self.clock()
        if self._last is None or not 0 <= now - self._last[0] < SECONDS_BETWEEN_LOOKS:
            self._last = now, self._all(now)
        return self._last[1]

    def of(self, folder: str) -> JobStanding:
        """Where one of its runs stands at this moment."""
        return self._look_at(
            self.ledger.entries[folder], self.clock(), self.ledger.is_worked_on, at_once=True
        )

    def _all(self, now: float) -> Standing:
        worked_on = self.ledger.is_worked_on
        jobs = [self._look_at(entry, now, worked_on) for entry in self.ledger.entries.values()]
        states = [job.state.state for job in jobs]
        known = medians(jobs)
        jobs = [with_estimate(job, known) if job.state.state == RUNNING else job for job in jobs]
        search = tune_of(self.ledger.folder)
        to_come = search.to_come if search else 0
        left, is_least = None, False
        if worked_on:
            left, is_least = left_for_all(jobs, known, self.ledger.jobs_at_once, to_come)
        best: dict[str, JobStanding] = {}
        for job in jobs:
            other = best.get(job.entry.data)
            if job.state.state in BAD or job.best is None:
                continue
            if other is None or job.best > (other.best or 0.0):
                best[job.entry.data] = job
        return Standing(
            tuple(jobs),
            worked_on,
            done=sum(state in DONE for state in states),
            failed=sum(state in BAD for state in states),
            waiting=sum(state not in (*DONE, *BAD, RUNNING) for state in states),
            best=best,
            left=left,
            left_is_least=is_least,
            to_come=to_come,
        )

    def _look_at(self, entry: Entry, now: float, worked_on: bool, at_once: bool = False) -> JobStanding:
        run = self.ledger.run(entry)
        seen = self._seen.setdefault(entry.folder, _Seen(EpochLines(run)))
        ledgers = (entry, worked_on)
        if seen.job is not None and seen.ledgers == ledgers and not at_once:
            state = seen.job.state.state
            rests = _SECONDS_BETWEEN_RARE_LOOKS if state != RUNNING else SECONDS_BETWEEN_LOOKS
            if state in DONE or 0 <= now - seen.looked < rests:
                return seen.job
        seen.job, seen.ledgers, seen.looked = self._read(entry, seen, now, worked_on), ledgers, now
        return seen.job

    def _read(self, entry: Entry, seen: _Seen, now: float, worked_on: bool) -> JobStanding:
        job = JobStanding(entry, self._state(entry, worked_on))
        state = job.state.state
        if state in DONE:
            return _finished(job, self._json(entry, SUMMARY))
        if state == QUEUED and not job.state.step:  # one that will be taken up has epochs
            return job
        if seen.plan is None:
            seen.plan = _plan(self._json(entry, CONFIG))
        seen.epochs.look()
        job = _with_epochs(job, seen.epochs, seen.plan, now)
        started, ended = _moment(entry.started), _moment(entry.ended)
        if started is not None:
            until = now if state == RUNNING else ended
            seconds = None if until is None else max(0.0, until - started, seen.epochs.seconds)
            job = replace(job, seconds=seconds)
        return job

    def _state(self, entry: Entry, worked_on: bool) -> RunState:
        """The directory's word; until a job's process has written to it, the ledger knows of the start."""
        try:
            found = state_of(self.ledger.run(entry))
        except UnreadableFileError as error:
            found = RunState(QUEUED) if entry.started is None else RunState(LOST, str(error))
        if not worked_on or found.state in LEFT_ALONE:
            return found
        if entry.state == RUNNING:
            return replace(found, state=RUNNING, reason=None)
        began, ended = _moment((self.ledger.parent or {}).get("started")), _moment(entry.ended)
        ended_before = began is None or ended is None or ended < began
        if found.state in STOPPED and ended_before:  # a sweep takes it up again
            return replace(found, state=QUEUED, reason=None)
        if entry.state in BAD:  # why a process ended, only who has waited for it knows
            return replace(found, state=entry.state, reason=entry.reason or found.reason)
        return found

    def _json(self, entry: Entry, name: str) -> dict[str, Any]:
        try:
            return read_json(self.ledger.run(entry) / name)
        except UnreadableFileError:
            return {}


def _with_epochs(
    job: JobStanding, lines: EpochLines, plan: tuple[int | None, float | None], now: float
) -> JobStanding:
    epochs, budget = plan
    if not lines.records:
        return replace(job, epochs=epochs)
    last = lines.records[-1]
    known = lines.accuracies
    trained = sum(record.train_seconds for record in lines.records if record.train_seconds >= 0)
    share = max(last.epoch / epochs if epochs else 0.0, trained / budget if budget else 0.0)
    left = None
    if job.state.state == RUNNING and epochs:
        since = max(0.0, now - (lines.written or now))
        left = epochs_left_seconds(lines.records, epochs, budget, since)
    return replace(
        job,
        epoch=last.epoch,
        epochs=epochs,
        share=min(1.0, share),
        accuracy=known[-1] if known else None,
        best=max(known, default=None),
        left=left,
    )


def _finished(job: JobStanding, summary: dict[str, Any]) -> JobStanding:
    """Of the chosen weights; the time of all parts of a run that was resumed."""
    accuracy = number_at(summary, "val.accuracy", 1)
    total = number_at(summary, TOTAL_SECONDS, _MOST_SECONDS)
    started, ended = _moment(job.entry.started), _moment(job.entry.ended)
    seconds = [] if total is None else [total]
    seconds += [ended - started] if started is not None and ended is not None else []
    epoch = int(number_at(summary, "epochs_run", 10**9) or 0)
    return replace(
        job,
        epoch=epoch,
        epochs=epoch or None,
        share=1.0,
        accuracy=accuracy,
        best=accuracy,
        seconds=max(seconds, default=None),
    )


def _plan(config: dict[str, Any]) -> tuple[int | None, float | None]:
    epochs = number_at(config, "trainer.epochs", 10**9)
    budget = number_at(config, "trainer.max_seconds", _MOST_SECONDS)
    return int(epochs) if epochs else None, budget or None


def _moment(text: Any) -> float | None:
    """A time that a ledger gives, as seconds since 1970."""
    found = moment(text)
    return found.timestamp() if found else None
