"""What a search (`bakeoff tune`) says of itself in `tune.json`, read with distrust. No torch here."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from bakeoff.runs.states import FAILED, FINISHED, PRUNED, RUNNING

MAXIMIZE = "maximize"
NO_FOLDERS = ("", ".", "..")
_DIRECTIONS = (MAXIMIZE, "minimize")
_TRIAL_STATES = (FINISHED, PRUNED, FAILED, RUNNING)
Value = TypeVar("Value")


@dataclass(frozen=True)
class TrialRecord:
    """One set of values that a search has tried."""

    study: str
    number: int  # from 0, in its study
    run: str | None  # the run directory's name below the sweep's folder
    state: str  # finished, pruned, failed or running
    params: Mapping[str, Any]
    values: tuple[float, ...] | None  # of the metrics
    epochs: int
    same_as: int | None  # the trial with the same values that has trained the run


@dataclass(frozen=True)
class StudyRecord:
    """One of the studies of a search, each of its own space."""

    name: str
    model: str
    space: Mapping[str, str]  # key -> its values, in words


@dataclass(frozen=True)
class ConfirmedRecord:
    """A configuration of the best that was trained again with new seeds."""

    study: str
    rank: int
    number: int  # of its trial
    setting: str
    runs: tuple[str, ...]
    search: float | None  # its score in the search, a chosen one
    mean: float | None  # of the new seeds
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TuneRecord:
    """What a search says of itself."""

    metric: tuple[str, ...]
    directions: tuple[str, ...]
    trials: int  # that each study is to have
    confirm: int
    studies: tuple[StudyRecord, ...]
    results: tuple[TrialRecord, ...]
    confirmed: tuple[ConfirmedRecord, ...]
    is_ended: bool
    sampler: str = ""
    pruner: str = ""

    @property
    def to_come(self) -> int:
        """How many trials have not begun; a grid may end before its number of trials."""
        if self.is_ended or self.sampler == "grid":
            return 0
        return max(0, self.trials * len(self.studies) - len(self.results))

    @cached_property
    def search_runs(self) -> frozenset[str]:
        """Folders of the runs that the search has trained, without those of the confirmation."""
        again = {run for one in self.confirmed for run in one.runs}
        return frozenset(one.run for one in self.results if one.run is not None) - again

    @cached_property
    def study_of_runs(self) -> Mapping[str, str]:
        """Study by the folder of a run, of the search or of its confirmation."""
        known = {one.run: one.study for one in self.results if one.run is not None}
        return known | {run: one.study for one in self.confirmed for run in one.runs}

    @cached_property
    def best_runs(self) -> frozenset[str]:
        """Folders of each study's best trial, where none was trained again; else none."""
        if self.confirmed:
            return frozenset()
        best = [self.best_of(study.name) for study in self.studies]
        return frozenset(one.run for one in best if one is not None and one.run is not None)

    @cached_property
    def left_out_runs(self) -> frozenset[str]:
        """Folders of the trials whose scores are chosen ones, and beside which something better is known."""
        return self.search_runs - self.best_runs

    def is_better(self, value: float, other: float) -> bool:
        """Under the first metric."""
        return value > other if self.directions[0] == MAXIMIZE else value < other

    def best_of(self, study: str) -> TrialRecord | None:
        """The finished trial of a study with the best value of the first metric; the first of equals."""
        best: TrialRecord | None = None
        for one in sorted(self.results, key=lambda one: one.number):
            if one.study != study or one.state != FINISHED or one.values is None:
                continue
            if best is None or best.values is None or self.is_better(one.values[0], best.values[0]):
                best = one
        return best


def searched(record: dict[str, Any]) -> TuneRecord | None:
    """A search from what its file holds; None for what is none. Entries that are wrong are left out."""
    metric, directions = _texts(record.get("metric")), _texts(record.get("directions"))
    if not metric or len(directions) != len(metric) or not {*directions} <= {*_DIRECTIONS}:
        return None
    if not all(isinstance(record.get(name), list) for name in ("studies", "results", "confirmed")):
        return None
    return TuneRecord(
        metric=metric,
        directions=directions,
        trials=_count(record.get("trials")) or 0,
        confirm=_count(record.get("confirm")) or 0,
        studies=tuple(_known(map(_study, _dicts(record["studies"])))),
        results=tuple(_known(_trial(one, len(metric)) for one in _dicts(record["results"]))),
        confirmed=tuple(_known(map(_confirmed, _dicts(record["confirmed"])))),
        is_ended=isinstance(record.get("ended"), str),
        sampler=_text(record.get("sampler")) or "",
        pruner=_text(record.get("pruner")) or "",
    )


def _study(one: dict[str, Any]) -> StudyRecord | None:
    name, model, space = one.get("name"), one.get("model"), one.get("space")
    if not isinstance(name, str) or not isinstance(model, str):
        return None
    space = space if isinstance(space, dict) else {}
    return StudyRecord(name, model, {key: told for key, told in space.items() if isinstance(told, str)})


def _trial(one: dict[str, Any], num_metrics: int) -> TrialRecord | None:
    study, number, state, params = (one.get(name) for name in ("study", "number", "state", "params"))
    if not isinstance(study, str) or _count(number) is None or state not in _TRIAL_STATES:
        return None
    given = one.get("values")
    values = [_number(value) for value in given] if isinstance(given, list) else []
    known = [value for value in values if value is not None]
    return TrialRecord(
        study=study,
        number=int(number or 0),
        run=_folder(one.get("run")),
        state=str(state),
        params=params if isinstance(params, dict) else {},
        values=tuple(known) if len(known) == len(values) == num_metrics else None,
        epochs=_count(one.get("epochs")) or 0,
        same_as=_count(one.get("same_as")),
    )


def _confirmed(one: dict[str, Any]) -> ConfirmedRecord | None:
    study, number, runs = one.get("study"), _count(one.get("number")), one.get("runs")
    if not isinstance(study, str) or number is None or not isinstance(runs, list):
        return None
    figures = [_number(one.get(name)) for name in ("search", "mean", "low", "high")]
    return ConfirmedRecord(
        study, _count(one.get("rank")) or 0, number, _text(one.get("setting")) or "",
        tuple(_known(map(_folder, runs))), *figures,
    )  # fmt: skip


def _known(values: Iterable[Value | None]) -> list[Value]:
    return [value for value in values if value is not None]


def _dicts(value: list[Any]) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)]


def _texts(value: Any) -> tuple[str, ...]:
    """Empty where it is no list of texts."""
    known = [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    return tuple(known) if isinstance(value, list) and len(known) == len(value) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _folder(value: Any) -> str | None:
    """A plain folder's name, which cannot lead out of the sweep's folder."""
    is_plain = isinstance(value, str) and value not in NO_FOLDERS and not set(value) & {"/", "\0"}
    return value if is_plain else None
