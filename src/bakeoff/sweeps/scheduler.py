"""Runs the jobs of a sweep, several at once: each is a process, and what became of it is in its directory.

Whatever a job does - raise, exit, crash, hang, fill its memory - it costs no other job. No torch here.
"""

import math
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bakeoff.machine.signals import StopSignal
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import LOG, STATUS, RunDir
from bakeoff.runs.states import FAILED, FINISHED, INTERRUPTED, LOST, RUNNING, RunState, state_of
from bakeoff.sweeps.child import Slot, in_words, last_line, start
from bakeoff.sweeps.ledger import Entry, Ledger, now

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_BEATS = 15.0
_SECONDS_TO_SAVE = 30.0  # for a job that was told to stop, before it is killed
_HUNG_AFTER_SECONDS = 600.0  # without a sign of life: runs write their status every 15 s


class View(Protocol):
    """What a person sees of it."""

    def started(self, entry: Entry) -> None:
        """A job's process has begun."""

    def ended(self, entry: Entry, state: RunState) -> None:
        """A job's process is gone."""

    def tick(self) -> None:
        """A moment has passed."""


@dataclass
class _Running:
    entry: Entry
    run: Path
    slot: Slot
    process: "subprocess.Popen[bytes]"
    began: float  # time.monotonic
    why_told: str | None = None  # to stop: the reason to show
    told_at: float = math.inf


class Scheduler:
    """One pass over the jobs that are to be done."""

    def __init__(
        self,
        ledger: Ledger,
        slots: Sequence[Slot],
        view: View,
        stop: StopSignal,
        timeout_seconds: float | None = None,
        stop_at_failure: bool = False,
    ) -> None:
        """`slots` are as many as jobs may run at once."""
        self._ledger, self._view, self._stop = ledger, view, stop
        self._free = list(slots)
        self._num_slots = len(slots)
        self._timeout = timeout_seconds or math.inf
        self._stop_at_failure = stop_at_failure
        self._running: list[_Running] = []
        self._handed_on = 0
        self.failed: list[str] = []  # folders

    def run(self, todo: Sequence[Entry]) -> list[Entry]:
        """Runs them, in their order.

        Returns:
            Those that were not started, because a signal came or a job failed.
        """
        waiting = list(todo)
        beat = -math.inf
        # The other end stays open as long as this process lives.
        with _pipe() as reading:
            while self._running or (waiting and self._may_start):
                while waiting and self._free and self._may_start:
                    self._start(waiting.pop(0), reading)
                self._hand_on_signals()
                self._look()
                if time.monotonic() - beat > _SECONDS_BETWEEN_BEATS:
                    beat = time.monotonic()
                    self._ledger.write(owned=True)
                self._view.tick()
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        return waiting

    @property
    def _may_start(self) -> bool:
        return self._stop.name is None and not (self._stop_at_failure and self.failed)

    def _start(self, entry: Entry, pipe: int) -> None:
        run = self._ledger.folder / entry.folder
        slot = self._free.pop(0)
        process = start(run, entry.identity, slot, pipe, self._num_slots)
        self._running.append(_Running(entry, run, slot, process, time.monotonic()))
        self._ledger.set(entry.folder, state=RUNNING, reason=None, started=now(), ended=None)
        self._ledger.write(owned=True)
        self._view.started(entry)

    def _hand_on_signals(self) -> None:
        """The first one lets the jobs save and stop; the second one ends them."""
        if self._stop.count > self._handed_on:
            self._handed_on = self._stop.count
            for job in self._running:
                self._tell(job, None, signal.SIGTERM if self._handed_on == 1 else signal.SIGKILL)

    def _look(self) -> None:
        for job in list(self._running):
            code = job.process.poll()
            if code is not None:
                self._ended(job, code)
            elif time.monotonic() - job.told_at > _SECONDS_TO_SAVE:
                _kill(job, signal.SIGKILL)
            elif job.why_told is None and time.monotonic() - job.began > self._timeout:
                self._tell(
                    job, f"took longer than sweep.job_timeout_seconds={self._timeout:g}", signal.SIGTERM
                )
            elif job.why_told is None and _silent_seconds(job) > _HUNG_AFTER_SECONDS:
                self._tell(job, "hung: no sign of life for 10 minutes", signal.SIGKILL)

    def _tell(self, job: _Running, why: str | None, number: signal.Signals) -> None:
        job.why_told = job.why_told or why
        job.told_at = min(job.told_at, time.monotonic())
        _kill(job, number)

    def _ended(self, job: _Running, code: int) -> None:
        self._running.remove(job)
        self._free.append(job.slot)
        state = _what_became_of(job, code)
        self._ledger.set(job.entry.folder, state=state.state, reason=state.reason, ended=now())
        self._ledger.write(owned=True)
        if state.state not in (FINISHED, INTERRUPTED):
            self.failed.append(job.entry.folder)
        self._view.ended(job.entry, state)


def _what_became_of(job: _Running, code: int) -> RunState:
    """What the directory says, and where that is nothing, how the process ended."""
    try:
        state = state_of(job.run)
    except UnreadableFileError as error:
        state = RunState(LOST, str(error))
    if state.state == FINISHED:
        return state
    if state.state == INTERRUPTED and job.why_told is None:
        return state
    if state.state in (FAILED, INTERRUPTED) and job.why_told is None:
        return state
    if state.state in (LOST, RUNNING, INTERRUPTED, "queued"):
        # Only who has waited for the process knows how it ended.
        line = last_line(job.run)
        reason = job.why_told or "; ".join(text for text in (in_words(code), line) if text)
        RunDir(job.run).write_status(FAILED, state.step or 0, reason)
        return RunState(FAILED, reason, state.step, state.heartbeat, may_go_on=state.may_go_on)
    return state


def _silent_seconds(job: _Running) -> float:
    """Since the run last wrote its status or its log."""
    seen = []
    for name in (STATUS, LOG):
        try:
            seen.append((job.run / name).stat().st_mtime)
        except OSError:
            continue
    return min(time.time() - max(seen, default=0.0), time.monotonic() - job.began)


def _kill(job: _Running, number: signal.Signals) -> None:
    """To the job's whole session, which is its own."""
    try:
        os.killpg(job.process.pid, number)
        os.killpg(job.process.pid, signal.SIGCONT)  # one that stands still has to go on to see it
    except ProcessLookupError:
        pass


@contextmanager
def _pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)
