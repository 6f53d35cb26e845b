"""A race: rounds of seeds, a look at the validation images after each, and the test images at the end.

The plan is fixed before the first run. A look is a pure function of the validation predictions of the runs
that it names, made only when its round is complete; so a race that was killed goes on to the same decisions.
No torch here.
"""

import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from bakeoff.comparison.figures import TOTAL_SECONDS, number_at
from bakeoff.errors import SOME_RUNS_BAD, InterruptedRunError, ResourceError
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing, tell
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY
from bakeoff.runs.states import QUEUED, RunState, state_or_lost
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.ledger import Entry, now
from bakeoff.sweeps.plan import looked_at_again, plan, settle_stale
from bakeoff.sweeps.race.evidence import Evidence
from bakeoff.sweeps.race.record import Record
from bakeoff.sweeps.race.rounds import Rounds
from bakeoff.sweeps.race.told import Told, first_warnings, heading, listing, verdict_lines
from bakeoff.sweeps.reporting import is_wanted
from bakeoff.sweeps.run import compared, train_all, worked_on
from bakeoff.sweeps.source import Listed
from bakeoff.terminal import painted, screen_width, wants_colour, wrapped
from bakeoff.text import about, counted

_MOST_SECONDS = 1e12
_MOST_IMAGES = 1e9


class _Clock:
    """The seconds that a race has worked, noted whenever a run ends: a race that is killed has spent them."""

    def __init__(self, record: Record) -> None:
        self._record, self._before, self._began = record, record.seconds, time.monotonic()

    def listed(self, todo: Sequence[Entry]) -> Listed:
        """The runs of a round, none of which is started after the race's time."""
        limit = self._record.max_seconds
        until = math.inf if limit is None else self._began + limit - self._before
        return _Noted(todo, until, self)

    def note(self) -> None:
        """Writes down what has been spent."""
        self._record.seconds = self._before + time.monotonic() - self._began
        with suppress(ResourceError):
            self._record.write()


class _Noted(Listed):
    """Notes the time at each run's end."""

    def __init__(self, todo: Sequence[Entry], until: float, clock: _Clock) -> None:
        super().__init__(todo, until)
        self._clock = clock

    def ended(self, entry: Entry, state: RunState) -> None:
        """A run's process is gone."""
        super().ended(entry, state)
        self._clock.note()


@contextmanager
def _timed(record: Record) -> Iterator[_Clock]:
    """The work of the block counts, whichever way it ends."""
    clock = _Clock(record)
    try:
        yield clock
    finally:
        clock.note()


@dataclass
class Race:
    """One, by the process that works on it."""

    rounds: Rounds
    slots: Sequence[Slot]
    stop: StopSignal
    failed: list[str] = field(default_factory=list)  # folders of runs

    def run(self) -> int:
        """Goes on until it is decided; then the test images are opened and compared.

        Returns:
            0, or 7 if a run failed.

        Raises:
            InterruptedRunError: a signal, or `bakeoff cancel`.
            ResumeError: the stored runs do not give the decisions that were made.
        """
        rounds, record = self.rounds, self.rounds.record
        rounds.make_again()
        with worked_on(rounds.ledger):
            record.write()
            while record.ended is None:
                if rounds.is_decided or (rounds.number and self._is_out_of_time()):
                    self._end()
                elif self._is_out_of_time():
                    raise InterruptedRunError(self._out_of_time())
                elif self._train_round():
                    self._look()
                elif not self._is_out_of_time():
                    tell("stopped after the first failure (sweep.on_failure=stop): the race is not decided")
                    return SOME_RUNS_BAD
        self._tell_end()
        tell("what follows is the finding: all runs on the test images, which had no part in any decision")
        reports = is_wanted(rounds.ledger.options, rounds.ledger.line)
        return compared(rounds.ledger.folder, self.failed, reports=reports)

    def _out_of_time(self) -> str:
        """Before the first look nothing is decided, so the test images stay closed."""
        limit = self.rounds.record.max_seconds
        return (
            f"{limit:g} seconds (race.max_seconds) were over before the first look; {self._num_trained()} of "
            f"{counted(len(self.rounds.jobs), 'run')} of its round are trained, nothing is decided, and the "
            "test images are closed; go on with the same command and a larger race.max_seconds"
        )

    def _num_trained(self) -> int:
        runs = map(self.rounds.ledger.run, self.rounds.ledger.entries.values())
        return sum(state_or_lost(run).state != QUEUED for run in runs)

    def _train_round(self) -> bool:
        """Trains the new seeds of all survivors; whether the round is complete."""
        rounds = self.rounds
        planned = plan(rounds.jobs, self.stop)
        planned = looked_at_again(settle_stale(planned, rounds.ledger.options.stale, tell))
        rounds.ledger.add(item.entry for item in planned)
        with _timed(rounds.record) as clock:
            failed, waiting = train_all(rounds.ledger, planned, self.slots, self.stop, clock.listed)
        self.failed += failed
        return not waiting

    def _look(self) -> None:
        rounds = self.rounds
        with doing("looking at the validation images"):
            evidence = rounds.judge()
        found, told = rounds.looks[-1], self._told(evidence.num_images)
        means = {name: float(own.mean()) for name, own in evidence.values.items() if len(own)}
        width, colour = screen_width(sys.stdout), wants_colour(sys.stdout)
        print()
        for line in wrapped(heading(found, rounds.number - 1, told), width):
            print(painted(line, "bold", colour))
        for score, says, style in listing(found, means, told, width):
            lines = wrapped(says, width, " " * 6, f"{score}  ")
            print("\n".join(painted(line, style, colour) for line in lines))
        for line in self._notes(evidence, told):
            tell(line)

    def _notes(self, evidence: Evidence, told: Told) -> list[str]:
        found = self.rounds.looks[-1]
        lines = [f"note: {text}" for text in first_warnings(found, told)] if self.rounds.number == 1 else []
        entries = {self.rounds.ledger.run(entry): entry for entry in self.rounds.ledger.entries.values()}
        guessing = Counter(entries[run].setting for run in evidence.guessing if run in entries)
        lines += [
            f"note: {told.name(setting)}: {counted(count, 'run')} right no more often than always naming "
            "the largest class; it stays in and takes seeds; stop the race (Ctrl-C) if it is broken"
            for setting, count in guessing.items()
            if setting in found.survivors and not self.rounds.is_decided
        ]
        if not self.rounds.is_decided:
            runs, seeds = len(self.rounds.jobs), len(self.rounds.new_seeds)
            seconds = self._seconds_of_round()
            took = "" if seconds is None else f", {about(seconds)}"
            each = (
                f"{counted(len(self.rounds.survivors), 'configuration')}, {counted(seeds, 'more seed')} each"
            )
            lines.append(f"going on with {each}: {counted(runs, 'run')}{took}")
        return lines

    def _told(self, num_val: int) -> Told:
        names = {one.setting: one.name for one in self.rounds.entrants}
        return Told(self.rounds.rules, names, num_val, self._num_test())

    def _num_test(self) -> int | None:
        """How many test images there are; of none it is asked what it shows."""
        for entry in self.rounds.ledger.entries.values():
            if (count := number_at(self._summary(entry), "test.num_images", _MOST_IMAGES)) is not None:
                return int(count)
        return None

    def _summary(self, entry: Entry) -> dict[str, object]:
        with suppress(UnreadableFileError):
            return read_json(self.rounds.ledger.run(entry) / SUMMARY)
        return {}

    def _seconds_of_round(self) -> float | None:
        """What the next one will take, by what the runs of each survivor took; None if that is not known."""
        total = 0.0
        for one in self.rounds.survivors:
            entries = [entry for entry in self.rounds.ledger.entries.values() if entry.setting == one.setting]
            took = [number_at(self._summary(entry), TOTAL_SECONDS, _MOST_SECONDS) for entry in entries]
            known = [seconds for seconds in took if seconds is not None]
            if not known:
                return None
            total += statistics.median(known) * len(self.rounds.new_seeds)
        return total / len(self.slots)

    def _is_out_of_time(self) -> bool:
        """Whether the time is over, or will be before the next round is complete."""
        record = self.rounds.record
        if record.max_seconds is None:
            return False
        expected = self._seconds_of_round() if self.rounds.number else None
        return record.seconds + (expected or 0.0) >= record.max_seconds

    def _end(self) -> None:
        rounds, record = self.rounds, self.rounds.record
        found = rounds.looks[-1] if rounds.looks else None
        kind = found.verdict if found and found.verdict else "budget"
        record.verdict = {
            "kind": kind,
            "best": found.best if found else None,
            "bottleneck": found.bottleneck if found and kind in ("budget", "hopeless") else None,
            "out_of_time": not rounds.is_decided,
        }
        record.verdict["sentence"] = self._end_lines()[0]
        record.ended = now()
        record.write()

    def _end_lines(self) -> list[str]:
        rounds = self.rounds
        found = rounds.looks[-1] if rounds.looks else None
        out_of_time = bool((rounds.record.verdict or {}).get("out_of_time"))
        told = self._told(int(rounds.record.num_val or 0))
        return verdict_lines(found, told, self._num_trained(), out_of_time=out_of_time)

    def _tell_end(self) -> None:
        print()
        first, *rest = self._end_lines()
        tell(painted(first, "bold", wants_colour(sys.stdout)))
        for line in rest:
            tell(line)
