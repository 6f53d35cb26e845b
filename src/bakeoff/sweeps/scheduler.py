"""Runs the jobs of a sweep, several at once: each is a process, and what became of it is in its directory.

Whatever a job does - raise, exit, crash, hang, fill its memory - it costs no other job. No torch here.
"""

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from bakeoff.errors import ResourceError
from bakeoff.machine.signals import StopSignal, standing_still, stop_here
from bakeoff.runs.states import DONE, FAILED, INTERRUPTED, LOST, PRUNED, QUEUED, RUNNING, RunState
from bakeoff.sweeps.child import Slot, Started, is_silent, start
from bakeoff.sweeps.ledger import CANCEL, Entry, Ledger, now
from bakeoff.sweeps.outcome import record_end
from bakeoff.sweeps.source import Listed, Source

_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_BEATS = 15.0
_SECONDS_BETWEEN_CANCEL_LOOKS = 0.5
_SECONDS_BETWEEN_QUESTIONS = 0.5  # whether a running job goes on
_SECONDS_TO_SAVE = 60.0  # for a job whose time is over, before it is killed
_SILENT_MINUTES = 10.0


class View(Protocol):
    """What a person sees of it."""

    def started(self, entry: Entry) -> None:
        """A job's process has begun."""

    def ended(self, entry: Entry, state: RunState) -> None:
        """A job's process is gone."""

    def say(self, text: str) -> None:
        """Something that a person should know."""

    def tick(self) -> None:
        """A moment has passed."""

    def pause(self) -> None:
        """This process is about to stand still (Ctrl-Z)."""

    def go_on(self) -> None:
        """It goes on."""


class _Job:
    """A job whose process has been started."""

    def __init__(self, entry: Entry, slot: Slot, process: Started) -> None:
        self.entry, self.slot, self.process = entry, slot, process
        self.began = time.monotonic()
        self.why_told: str | None = None  # to stop, if not because all are: the reason to show
        self.told_means = FAILED  # the state that it has then
        self.asked = self.began  # when its source was asked last whether it goes on
        self.killed_at = math.inf


class Scheduler:
    """One pass over the jobs that are to be done."""

    def __init__(
        self,
        ledger: Ledger,
        slots: Sequence[Slot],
        data_roots: Mapping[str, str],
        view: View,
        stop: StopSignal,
    ) -> None:
        """Prepares the work.

        Args:
            ledger: of the sweep.
            slots: as many as jobs may run at once.
            data_roots: of each run, by its folder, where its data are now.
            view: what a person sees.
            stop: the signals that came.
        """
        self._ledger, self._data_roots, self._view, self._stop = ledger, data_roots, view, stop
        self._free = list(slots)
        self._timeout = ledger.options.job_timeout_seconds or math.inf
        self._stops_at_failure = ledger.options.on_failure == "stop"
        self._running: list[_Job] = []
        self._handed_on = 0
        self._first_words: str | None = None
        self._beat = self._looked_for_cancel = -math.inf
        self._is_storage_told = False
        self._source: Source = Listed(())
        self.failed: list[str] = []  # folders
        self.cancelled = False

    def run(self, todo: Sequence[Entry] | Source) -> list[Entry]:
        """Runs them, in their order. To be called from the main thread, which must not end before them.

        Returns:
            Those of a sequence that were not started, because a signal came or a job failed.
        """
        listed = todo if isinstance(todo, Listed) else Listed(todo) if isinstance(todo, Sequence) else None
        self._source = source = listed if listed is not None else cast("Source", todo)
        self._stop.ends_at_second = False
        # Written by a handler they would stand in the middle of the table.
        self._first_words, self._stop.first_words = self._stop.first_words, None
        try:
            # The other end stays open as long as this process lives.
            with _pipe() as reading, standing_still(self._stand_still):
                while self._running or (self._may_start and not source.is_over):
                    while self._free and self._may_start and (entry := source.take()) is not None:
                        self._start(entry, reading)
                    self._hand_on_signals()
                    self._look()
                    self._write_at_times()
                    self._view.tick()
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
        finally:
            for job in self._running:  # an error of ours: no job outlives its sweep
                job.process.send(signal.SIGKILL)
            self._stop.ends_at_second = True
        return [] if listed is None else listed.waiting

    @property
    def _is_stopping(self) -> bool:
        return self.cancelled or self._stop.name is not None

    @property
    def _may_start(self) -> bool:
        return not self._is_stopping and not (self._stops_at_failure and self.failed)

    def _start(self, entry: Entry, pipe: int) -> None:
        slot = self._free.pop(0)
        try:
            process = start(
                self._ledger.run(entry),
                entry.identity,
                slot,
                pipe,
                self._ledger.jobs_at_once,
                self._data_roots[entry.folder],
            )
        except OSError as error:  # no memory for a process, or its folder is gone
            self._free.append(slot)
            self._view.started(entry)
            self._note_end(entry, RunState(FAILED, f"its process could not be started: {error}"))
            return
        self._running.append(_Job(entry, slot, process))
        self._ledger.set(entry.folder, state=RUNNING, reason=None, started=now(), ended=None)
        self._write()
        self._view.started(entry)

    def _hand_on_signals(self) -> None:
        """The first one lets the jobs save and stop; the second one ends them."""
        if self._stop.count > self._handed_on:
            if self._handed_on == 0 and self._first_words and self._running:
                self._view.say(self._first_words)
            self._handed_on = self._stop.count
            for job in self._running:
                job.process.send(signal.SIGTERM if self._handed_on == 1 else signal.SIGKILL)
        moment = time.monotonic()
        if not self.cancelled and moment - self._looked_for_cancel > _SECONDS_BETWEEN_CANCEL_LOOKS:
            self._looked_for_cancel = moment
            if (self._ledger.folder / CANCEL).exists():
                self.cancelled = True
                self._view.say("bakeoff cancel: stopping; running runs are saved first")
                for job in self._running:
                    job.process.send(signal.SIGTERM)

    def _look(self) -> None:
        for job in list(self._running):
            code = job.process.poll()
            if code is not None:
                self._running.remove(job)
                self._free.append(job.slot)
                self._note_end(
                    job.entry,
                    record_end(job.process, code, job.why_told, self._is_stopping, job.told_means),
                )
                continue
            moment = time.monotonic()
            if (
                job.why_told is None
                and not self._is_stopping
                and moment - job.asked > _SECONDS_BETWEEN_QUESTIONS
            ):
                self._ask(job, moment)
            if moment > job.killed_at:
                job.process.send(signal.SIGKILL)
            elif job.why_told is None and moment - job.began > self._timeout:
                job.why_told = (
                    f"took longer than sweep.job_timeout_seconds={self._timeout:g}; the sweep's command with "
                    "a larger one goes on with it"
                )
                job.killed_at = moment + _SECONDS_TO_SAVE
                job.process.send(signal.SIGTERM)
            elif job.why_told is None and is_silent(job.process, _SILENT_MINUTES * 60):
                job.why_told = f"hung: no sign of life and no work for {_SILENT_MINUTES:g} minutes"
                job.process.send(signal.SIGKILL)

    def _ask(self, job: _Job, moment: float) -> None:
        job.asked = moment
        if (reason := self._source.reason_to_stop(job.entry)) is not None:
            job.why_told, job.told_means, job.killed_at = reason, PRUNED, moment + _SECONDS_TO_SAVE
            job.process.send(signal.SIGTERM)

    def _note_end(self, entry: Entry, state: RunState) -> None:
        self._ledger.set(entry.folder, state=state.state, reason=state.reason, ended=now())
        self._write()
        was_stopped = self._is_stopping and state.state in (INTERRUPTED, QUEUED, LOST)
        if state.state not in DONE and not was_stopped:
            self.failed.append(entry.folder)
        self._view.ended(entry, state)
        self._source.ended(entry, state)

    def _write_at_times(self) -> None:
        """That others see that this process lives."""
        if time.monotonic() - self._beat > _SECONDS_BETWEEN_BEATS:
            self._write()

    def _write(self) -> None:
        """The directories say more than the ledger: a full disk for a moment ends no job."""
        self._beat = time.monotonic()
        try:
            self._ledger.write(owned=True)
        except ResourceError as error:
            if not self._is_storage_told:
                self._is_storage_told = True
                self._view.say(f"note: {error}; the runs go on")

    def _stand_still(self) -> None:
        """Ctrl-Z reaches this process alone, since its jobs have sessions of their own: it hands it on."""
        began = time.monotonic()
        for job in self._running:
            job.process.send(signal.SIGSTOP)
        self._view.pause()
        stop_here()
        self._view.go_on()
        for job in self._running:
            job.began += time.monotonic() - began  # it did not work in that time
            job.process.send(signal.SIGCONT)


@contextmanager
def _pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)
