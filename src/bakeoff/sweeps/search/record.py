"""`tune.json`: a picture of a search for people and other commands; what decides is in the storage.

No torch here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.studies import StudyPlan
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.storage import write_json
from bakeoff.runs.studies import TUNE
from bakeoff.sweeps.search.study import Rules, Study
from bakeoff.sweeps.search.trial import Trial
from bakeoff.sweeps.search.url import kind_of
from bakeoff.sweeps.search.workers import FolderLock

SCHEMA = 1


@dataclass
class Record:
    """Of one search, for one of the processes that work on it."""

    folder: Path
    options: TuneConfig
    rules: Rules
    plans: Sequence[StudyPlan]
    lock: FolderLock
    models: dict[str, str]  # by the study
    confirmed: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    ended: str | None = None

    def read(self) -> None:
        """What a process has written of the search's end, this one or another."""
        try:
            stored = read_json(self.folder / TUNE, attempts=2)
        except UnreadableFileError:
            self.confirmed, self.best, self.ended = [], None, None
            return
        rows, best, ended = stored.get("confirmed"), stored.get("best"), stored.get("ended")
        self.confirmed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        self.best = best if isinstance(best, dict) else None
        self.ended = ended if isinstance(ended, str) else None

    def write(self, studies: Sequence[Study], *, ends: bool = False) -> list[Trial]:
        """Stores where the search stands, and gives all its trials.

        Args:
            studies: whose trials are read.
            ends: whether what is known here of the search's end replaces what is stored.

        Raises:
            ResourceError: it cannot be written.
        """
        with self.lock.held():
            if not ends:
                self.read()
            trials = [stored.trial for study in studies for stored in study.stored()]
            write_json(self.folder / TUNE, self._values(trials))
        return trials

    def _values(self, trials: Sequence[Trial]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "metric": [metric.name for metric in self.rules.metrics],
            "directions": self.rules.directions,
            "trials": self.options.trials,
            "sampler": self.rules.sampler,
            "pruner": self.rules.pruner,
            "confirm": self.options.confirm,
            "confirm_seeds": self.options.confirm_seeds,
            "storage": kind_of(self.options.storage),
            "studies": [
                {"name": plan.name, "model": self.models[plan.name], "space": plan.space.told()}
                for plan in self.plans
            ],
            "results": [asdict(trial) for trial in trials],
            "confirmed": self.confirmed,
            "best": self.best,
            "ended": self.ended,
        }
