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
            gone = [
                f"{one.name} seed={seed}"
                for one in self.entrants
                for seed in set(stored["runs"].get(one.setting, ())) - {*finished(runs[one.setting])}
            ]
            if not gone:
                self._look_at({
                    name: [runs[name][seed] for seed in seeds] for name, seeds in stored["runs"].items()
                })  # fmt: skip
            if gone or decided(round_of(self.looks[-1], stored["runs"])) != decided(stored):
                why = f"the runs of {', '.join(gone)} are gone" if gone else "its runs are not what they were"
                told = f"the look after {stored['seeds']} seeds cannot be made again: {why}"
                raise ResumeError(f"{self.ledger.folder}: {told}; begin another race with sweep.name=new")

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
