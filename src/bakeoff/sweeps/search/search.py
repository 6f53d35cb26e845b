"""The source of a search's jobs: trials that lost their process, then new ones; and what came of each.

Every decision is made under the lock of the search's folder and is a function of what is stored. No torch.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bakeoff.config.job import Job
from bakeoff.config.studies import StudyPlan
from bakeoff.errors import ConfigError, InterruptedRunError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.states import DIVERGED, FAILED, FINISHED, PRUNED, QUEUED, RUNNING, RunState, state_or_lost
from bakeoff.sweeps.folders import make_folder_of
from bakeoff.sweeps.ledger import Entry
from bakeoff.sweeps.outcome import TAKEN
from bakeoff.sweeps.plan import Planned, planned_of
from bakeoff.sweeps.search.evidence import epochs_of, forget_checkpoints, reason_to_fail, values_of_run
from bakeoff.sweeps.search.following import Following
from bakeoff.sweeps.search.record import Record
from bakeoff.sweeps.search.study import Stored, Study, is_over
from bakeoff.sweeps.search.told import called, shown
from bakeoff.sweeps.search.trial import Trial
from bakeoff.sweeps.search.workers import SharedLedger

_SECONDS_BETWEEN_QUESTIONS = 0.5  # to the storage, while there is nothing to do
_BY_ITSELF = (FINISHED, PRUNED, DIVERGED)  # states of a run that is told without a job


@dataclass
class _Claim:
    """A trial that this process works on."""

    study: Study
    number: int
    following: Following


@dataclass
class Search:
    """One process's part of a search."""

    studies: Sequence[Study]
    record: Record
    ledger: SharedLedger
    job_of: Callable[[StudyPlan, Mapping[str, Any]], Job]
    data_roots: dict[str, str]
    stop: StopSignal
    told: Callable[[Study, Trial, RunState], None] = lambda *_: None  # of each trial that has ended
    say: Callable[[str], None] = lambda _: None
    failed: list[str] = field(default_factory=list)  # folders
    _claims: dict[str, _Claim] = field(default_factory=dict)  # by the run's folder
    _is_over: bool = False
    _asks_from: float = 0.0  # by `time.monotonic`

    @property
    def is_over(self) -> bool:
        """Whether all trials have ended, those of other processes, too."""
        return self._is_over

    def take(self) -> Entry | None:
        """The run of a trial to start now; a trial that needs none is told at once."""
        if self._is_over or time.monotonic() < self._asks_from:
            return None
        with suppress(InterruptedRunError), self.ledger.lock.held():
            while self.stop.name is None and (found := self._next()) is not None:
                study, stored = found
                if (entry := self._taken_up(study, stored)) is not None:
                    return entry
            return None
        self._asks_from = time.monotonic() + _SECONDS_BETWEEN_QUESTIONS
        return None

    def _next(self) -> tuple[Study, Stored] | None:
        """A trial that nobody works on, or else a new one of the study with the fewest; None: not now."""
        tokens = self.ledger.living_tokens()
        known = {study.name: study.stored() for study in self.studies}
        for study in self.studies:
            for stored in known[study.name]:
                if not is_over(stored) and stored.worker not in tokens and self._may_take_up(study, stored):
                    return study, study.completed(stored.trial.number)
        open_ones = [study for study in self.studies if len(known[study.name]) < study.budget]
        if open_ones:
            fewest = min(open_ones, key=lambda study: len(known[study.name]))
            return fewest, fewest.ask()
        self._is_over = all(is_over(stored) for trials in known.values() for stored in trials)
        self._asks_from = time.monotonic() + _SECONDS_BETWEEN_QUESTIONS
        return None

    def _may_take_up(self, study: Study, stored: Stored) -> bool:
        """Whether nothing has to come first: the end of the trial whose run it has, or of a process."""
        trial = stored.trial
        if trial.same_as is not None:
            return is_over(study.get(trial.same_as))
        # Its job may live for a moment longer than the process that started it.
        return trial.run is None or state_or_lost(self.ledger.folder / trial.run).state != RUNNING

    def _taken_up(self, study: Study, stored: Stored) -> Entry | None:
        trial = stored.trial
        study.claim(trial.number, None, self.ledger.token)
        if trial.same_as is not None:
            self._tell_same(study, trial, study.get(trial.same_as))
            return None
        try:
            job = self.job_of(study.plan, trial.params)
            check_shared(job.values)
        except ConfigError as error:  # this combination alone: the single values were checked
            self._tell(study, trial.number, RunState(FAILED, str(error)), None, 0)
            return None
        item = planned_of(job, self._shown(trial))
        for earlier in study.stored():
            is_first = earlier.trial.number < trial.number and earlier.trial.same_as is None
            if is_first and earlier.trial.run == item.entry.folder:
                study.note_same(trial.number, earlier.trial.number)
                study.release(trial.number)
                return None
        if trial.run not in (None, item.entry.folder):
            self.say(f"note: {trial.run} was begun with other code; it is trained anew, and stays as it is")
            self.ledger.forget(str(trial.run))
        study.claim(trial.number, item.entry.folder, self.ledger.token)
        # One that failed was told by the process that ran it, unless that was killed just then.
        if item.state.state in _BY_ITSELF or (item.state.state == FAILED and trial.run == item.entry.folder):
            self._tell_by_directory(study, trial.number, item)
            return None
        return self._begun(study, stored, item)

    def _shown(self, trial: Trial) -> str:
        """What tells it from the others of the search."""
        return f"{called(trial, several=len(self.studies) > 1)} {shown(trial.params)}"

    def _begun(self, study: Study, stored: Stored, item: Planned) -> Entry:
        folder, ledger = item.entry.folder, self.ledger
        ledger.mine.add(folder)
        ledger.add([item.entry])
        ledger.set(folder, state=QUEUED, reason=None)
        ledger.write(owned=True)  # before the directory, so that nothing is left that no ledger knows
        make_folder_of(item)
        self.data_roots[folder] = str(item.job.values["data"]["root"])
        following = Following(study, stored, item.folder)
        self._claims[folder] = _Claim(study, stored.trial.number, following)
        self.record.write(self.studies)
        return ledger.entries[folder]

    def reason_to_stop(self, entry: Entry) -> str | None:
        """Why a running trial is not worth its other epochs."""
        with suppress(InterruptedRunError):  # the storage does not answer, and somebody pressed Ctrl-C
            return self._claims[entry.folder].following.look()
        return None

    def ended(self, entry: Entry, state: RunState) -> None:
        """Tells what came of a trial; one that was stopped with its process stays to be taken up."""
        claim = self._claims.pop(entry.folder)
        with suppress(InterruptedRunError):
            if state.state in (*_BY_ITSELF, FAILED) and state.reason != TAKEN:
                if state.state == FINISHED:
                    claim.following.report_rest()
                run = self.ledger.run(entry)
                if state.state == PRUNED:
                    forget_checkpoints(run)
                self._tell(claim.study, claim.number, state, self._values(state, entry), epochs_of(run))
                return
            claim.study.release(claim.number)
            self.ledger.mine.discard(entry.folder)
            self._asks_from = time.monotonic() + _SECONDS_BETWEEN_QUESTIONS

    def _values(self, state: RunState, entry: Entry) -> tuple[float, ...] | None:
        if state.state != FINISHED:
            return None
        return values_of_run(self.ledger.run(entry), self.record.rules.metrics)

    def _tell_by_directory(self, study: Study, number: int, item: Planned) -> None:
        """Its run has ended, and nobody came to tell of it."""
        self.ledger.mine.add(item.entry.folder)
        self.ledger.add([item.entry])
        self.ledger.set(item.entry.folder, state=item.state.state, reason=item.state.reason)
        self.ledger.write(owned=True)
        if item.state.state == FINISHED:
            Following(study, study.get(number), item.folder).report_rest()
        if item.state.state == PRUNED:
            forget_checkpoints(item.folder)
        values = self._values(item.state, item.entry)
        self._tell(study, number, item.state, values, epochs_of(item.folder))

    def _tell_same(self, study: Study, trial: Trial, other: Stored) -> None:
        """What came of the trial with the same values is true of this one, too."""
        for epoch, value in other.reported.items():
            study.report(trial.number, epoch, value)
        state = RunState(other.trial.state)
        self._tell(study, trial.number, state, other.trial.values, other.trial.epochs)

    def _tell(
        self, study: Study, number: int, state: RunState, values: tuple[float, ...] | None, epochs: int
    ) -> None:
        if state.state == FINISHED and values is None:
            state = RunState(FAILED, reason_to_fail(self.record.rules.metrics))
        study.tell(number, state.state, values, epochs)
        trial = study.get(number).trial
        if trial.state == FAILED and trial.run is not None and trial.same_as is None:
            self.failed.append(trial.run)
        self.record.write(self.studies)
        self.told(study, trial, state)
        self._asks_from = 0.0
