"""The rounds of a race: whose seeds are new, which runs a look sees, and a look made again. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.comparison.statistics.race import Look, Rules, look
from bakeoff.config.job import Job
from bakeoff.errors import ResumeError
from bakeoff.sweeps.ledger import Ledger
from bakeoff.sweeps.race.entrants import Entrant
from bakeoff.sweeps.race.evidence import Evidence, finished, read_evidence
from bakeoff.sweeps.race.record import Record, decided, round_of
from bakeoff.text import shortened


@dataclass
class Rounds:
    """Those that were judged, and the next one."""

    rules: Rules
    entrants: Sequence[Entrant]
    record: Record
    ledger: Ledger
    looks: list[Look] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Of the round that is not judged yet, from 0."""
        return len(self.looks)

    @property
    def is_decided(self) -> bool:
        """Whether no other round follows."""
        return bool(self.looks) and (self.looks[-1].verdict is not None or self.looks[-1].best is None)

    @property
    def survivors(self) -> list[Entrant]:
        """Those that get more seeds, in the order in which they were named."""
        if not self.looks:
            return list(self.entrants)
        return [one for one in self.entrants if one.setting in self.looks[-1].survivors]

    @property
    def new_seeds(self) -> range:
        """That the round adds."""
        first = int(self.record.plan["first_seed"])
        before = self.rules.looks[self.number - 1] if self.number else 0
        return range(first + before, first + self.rules.looks[self.number])

    @property
    def jobs(self) -> list[Job]:
        """Of the round: a seed of all survivors after the other."""
        return [one.with_seed(seed) for seed in self.new_seeds for one in self.survivors]

    def judge(self) -> Evidence:
        """The look after the round, whose runs have ended; it is stored.

        A run that failed is not counted, not even if it is trained after its round was judged.

        Raises:
            BakeoffError: as in `read_evidence`.
        """
        runs = self._runs()
        counted: dict[str, list[int]] = {one.setting: [] for one in self.entrants}
        if self.record.rounds:
            counted |= {setting: list(seeds) for setting, seeds in self.record.rounds[-1]["runs"].items()}
        for one in self.survivors:
            new = {seed: run for seed, run in runs.get(one.setting, {}).items() if seed in self.new_seeds}
            counted[one.setting] += finished(new)
        evidence = self._look_at({name: [runs[name][seed] for seed in own] for name, own in counted.items()})
        self.record.num_val = evidence.num_images
        self.record.rounds.append(round_of(self.looks[-1], counted))
        self.record.write()
        return evidence

    def make_again(self) -> None:
        """Makes the decisions that are stored once more, from the runs that they name.

        Raises:
            ResumeError: they would be others.
        """
        runs = self._runs()
        for stored in self.record.rounds:
            told = f"the look after {stored['seeds']} seeds"
            if self.is_decided or self.number == len(self.rules.looks):
                raise self._cannot(f"{told} came after its end")
            seen = {one.setting: stored["runs"].get(one.setting, []) for one in self.entrants}
            gone = [
                f"{one.name} seed={seed}"
                for one in self.entrants
                for seed in sorted({*seen[one.setting]} - {*finished(runs[one.setting])})
            ]
            if gone:
                raise self._cannot(f"{told} cannot be made again: the runs of {shortened(gone)} are gone")
            try:
                self._look_at({name: [runs[name][seed] for seed in own] for name, own in seen.items()})
            except ResumeError as error:
                raise self._cannot(f"{told} cannot be made again: {error}") from error
            if decided(round_of(self.looks[-1], seen)) != decided(stored):
                raise self._cannot(f"{told} cannot be made again: its runs are not what they were")
        verdict = self.record.verdict or {}
        if self.record.ended and not (self.is_decided or verdict.get("out_of_time")):
            raise self._cannot("its last looks are missing")

    def _cannot(self, why: str) -> ResumeError:
        return ResumeError(f"{self.ledger.folder}: {why}; begin another race with sweep.name=new")

    def _look_at(self, runs: Mapping[str, Sequence[Path]]) -> Evidence:
        evidence = read_evidence(runs, self.rules.metric)
        survivors = [one.setting for one in self.survivors]
        self.looks.append(look(evidence.values, survivors, self.number, self.rules))
        return evidence

    def _runs(self) -> dict[str, dict[int, Path]]:
        """Of each configuration the runs that the sweep has, by seed."""
        found: dict[str, dict[int, Path]] = {one.setting: {} for one in self.entrants}
        for entry in self.ledger.entries.values():
            if entry.setting in found:
                found[entry.setting][entry.seed] = self.ledger.run(entry)
        return found
