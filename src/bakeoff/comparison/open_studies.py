"""What is told of races and searches that go on: their validation figures, and no others. No torch here."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparison.group import shown
from bakeoff.comparison.run import Problem, folded
from bakeoff.runs.search_record import TrialRecord, TuneRecord
from bakeoff.runs.states import FINISHED
from bakeoff.runs.studies import RACE, is_open, race_of, tune_of
from bakeoff.text import counted, cut, percent

MOST_ROWS = 10
_LONGEST_NAME = 100  # characters
_SHARES = ("val.accuracy", "val.macro_f1")
_ORDINARY = "val.accuracy"


@dataclass(frozen=True)
class Standing:
    """One of the best so far."""

    name: str
    value: float
    told: str  # the value as people read it


@dataclass(frozen=True)
class OpenStudy:
    """A race or a search that has not ended."""

    folder: Path
    kind: str  # race or search
    metric: str  # of the values
    says: str
    num_rated: int
    best: tuple[Standing, ...]  # the best first, at most `MOST_ROWS`


def open_studies(problems: Sequence[Problem]) -> list[OpenStudy]:
    """Those that the runs belong to which are in no table, in their order."""
    folders = dict.fromkeys(problem.path.parent for problem in problems)
    return [_standing(folder, problems) for folder in folders if is_open(folder)]


def as_told(problems: Sequence[Problem]) -> list[Problem]:
    """As people read them: the finished runs of an open race or search are one line, and its first."""
    studies = {study.folder: study for study in open_studies(problems)}
    first = [Problem(study.folder, study.says, harmless=True) for study in studies.values()]
    return first + folded([problem for problem in problems if problem.sealed is None])


def best_lines(study: OpenStudy) -> list[str]:
    """A heading and the best so far, a line each; empty where nothing has finished."""
    if not study.best:
        return []
    of = f"{len(study.best)} of {study.num_rated}" if study.num_rated > len(study.best) else "all"
    heading = f"{study.folder.name}, {study.metric} on the validation images, best first ({of}):"
    return [heading, *(f"{one.told}  {one.name}" for one in study.best)]


def metric_value(metric: str, value: float) -> str:
    """A value as people read it: 97.31 %, or with four digits."""
    return percent(value) if metric in _SHARES else f"{value:.4g}"


def trial_name(trial: TrialRecord) -> str:
    """Such as: vit optim.lr=0.001 model.depth=4."""
    return cut(f"{trial.study} {params_told(trial.params)}".rstrip(), _LONGEST_NAME)


def params_told(params: Mapping[str, Any]) -> str:
    """Values of keys as a command line has them, in few digits."""
    return " ".join(f"{key}={_short(value)}" for key, value in params.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else shown(value)


def _standing(folder: Path, problems: Sequence[Problem]) -> OpenStudy:
    record = tune_of(folder)
    if record is not None and not record.is_ended:
        return _search(folder, record)
    return _race(folder, [problem for problem in problems if problem.path.parent == folder])


def _search(folder: Path, record: TuneRecord) -> OpenStudy:
    done = [one for one in record.results if one.state == FINISHED and one.values is not None]
    sign = -1 if record.is_better(1, 0) else 1
    rated = sorted(
        ((sign * one.values[0], one.number, one.study, one) for one in done if one.values),
        key=lambda item: item[:3],
    )
    metric = record.metric[0]
    best = tuple(
        Standing(trial_name(one), sign * value, metric_value(metric, sign * value))
        for value, _, _, one in rated[:MOST_ROWS]
    )
    total = record.trials * max(1, len(record.studies))
    far = f"{len(done)} of {counted(total, 'trial')} finished"
    return OpenStudy(folder, "search", metric, _says("search", folder, far, best), len(rated), best)


def _race(folder: Path, problems: Sequence[Problem]) -> OpenStudy:
    """Means over the seeds that have finished, by the configuration."""
    values: dict[tuple[str, str], list[float]] = {}
    for problem in problems:
        if problem.sealed is not None and problem.sealed.val_accuracy is not None:
            key = problem.sealed.setting, problem.sealed.model
            values.setdefault(key, []).append(problem.sealed.val_accuracy)
    names = _names(list(values))
    rows = [
        Standing(f"{names[key]} ({counted(len(own), 'seed')})", mean, percent(mean))
        for key, own in values.items()
        if (mean := sum(own) / len(own)) >= 0
    ]
    rows.sort(key=lambda row: (-row.value, row.name))
    best = tuple(rows[:MOST_ROWS])
    is_race = (folder / RACE).exists()
    record = race_of(folder)
    num_runs = sum(problem.sealed is not None for problem in problems)
    far = f"{counted(num_runs, 'run')} finished"
    if record is not None and record.seeds:
        far += f", last look at {counted(record.seeds, 'seed')} of each"
    elif record is None:
        far += "; its record cannot be read"
    kind = "race" if is_race else "search"
    return OpenStudy(folder, kind, _ORDINARY, _says(kind, folder, far, best), len(rows), best)


def _names(keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    models = [model for _, model in keys]
    return {
        (setting, model): model if models.count(model) == 1 else f"{model} {setting[:8]}"
        for setting, model in keys
    }


def _says(kind: str, folder: Path, far: str, best: Sequence[Standing]) -> str:
    leads = f"; best on the validation images: {best[0].name}, {best[0].told}" if best else ""
    return (
        f"the {kind} has not ended: {far}{leads}; its test images are opened when it has ended "
        f"(bakeoff resume {shlex.quote(str(folder))} goes on)"
    )
