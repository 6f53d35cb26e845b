"""Searches (`bakeoff tune`) that a report's runs come from: their figures, of validation images alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.comparison.group import shown
from bakeoff.comparison.open_studies import metric_value, params_told
from bakeoff.comparison.run import Problem
from bakeoff.comparison.statistics.expected_best import expected_best
from bakeoff.comparison.tables import Table
from bakeoff.comparison.tuning import trial_values, value_of
from bakeoff.report.charts import theme
from bakeoff.report.charts.figure import Figure
from bakeoff.report.charts.searches import (
    END,
    FAILED,
    FINISHED,
    PRUNED,
    TRIAL,
    history_figure,
    importance_figure,
    parallel_figure,
    tuning_figure,
)
from bakeoff.report.importance import importance_of, is_plain_number, positions
from bakeoff.runs import states
from bakeoff.runs.search_record import TrialRecord, TuneRecord
from bakeoff.runs.studies import sweep_of, tune_of
from bakeoff.text import counted, cut, printable

KEY = "searches"  # the beginning of the anchor of what all have alike
_MOST_STUDIES = 12
_MOST_AXES = 7
_MOST_BARS = 20
_MOST_LINES = 300  # trials at once
_MOST_POINTS = 100  # of a curve
_LONGEST_NAME, _LONGEST_VALUE = 40, 12  # characters
_STATES = {states.FINISHED: FINISHED, states.PRUNED: PRUNED, states.FAILED: FAILED}


@dataclass(frozen=True)
class StudyPart:
    """One study with its figures."""

    key: str
    title: str
    about: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Searches:
    """All of a page."""

    tuning: Figure | None
    studies: Sequence[StudyPart]
    num_left_out: int

    @property
    def figures(self) -> dict[str, Figure]:
        """By their anchors."""
        found = {f"{study.key}-{figure.key}": figure for study in self.studies for figure in study.figures}
        return found | ({f"{KEY}-{self.tuning.key}": self.tuning} if self.tuning else {})


@dataclass(frozen=True)
class _Study:
    sweep: Path
    record: TuneRecord
    name: str
    trials: Sequence[TrialRecord]  # that have ended
    values: Sequence[float]  # of them


def searches_of(tables: Sequence[Table], problems: Sequence[Problem]) -> Searches | None:
    """None where no run comes from a search with a value."""
    paths = [run.path for table in tables for row in table.settings for run in row.members]
    folders = dict.fromkeys([*map(sweep_of, paths), *(problem.path.parent for problem in problems)])
    found = [study for folder in folders for study in _studies(folder)]
    if not found:
        return None
    some = found[:_MOST_STUDIES]
    names = theme.distinct([_name(study, some) for study in some], first=1)
    with theme.unchecked():
        parts = [
            _part(f"s{place}", study, name)
            for place, (study, name) in enumerate(zip(some, names, strict=True), 1)
        ]
        return Searches(_tuning(some, names), parts, len(found) - len(some))


def _studies(sweep: Path) -> list[_Study]:
    record = tune_of(sweep)
    if record is None:
        return []
    found = []
    for name in dict.fromkeys(trial.study for trial in record.results):
        trials = sorted(
            (one for one in record.results if one.study == name and one.state in _STATES),
            key=lambda one: one.number,
        )
        if values := trial_values(sweep, record, trials):
            found.append(_Study(sweep, record, name, trials, values))
    return found


def _name(study: _Study, others: Sequence[_Study]) -> str:
    alike = sum(other.name == study.name for other in others) > 1
    return cut(printable(f"{study.name} ({study.sweep.name})" if alike else study.name), _LONGEST_NAME)


def _tuning(studies: Sequence[_Study], names: Sequence[str]) -> Figure | None:
    rows: list[list[Any]] = []
    metrics = list(dict.fromkeys(printable(study.record.metric[0]) for study in studies))
    for study, name in zip(studies, names, strict=True):
        total = len(study.values)
        step = max(1, total // _MOST_POINTS)
        counts = sorted({*range(1, total + 1, step), total})
        larger = study.record.is_better(1, 0)
        for point in expected_best(study.values, counts, larger_is_better=larger):
            metric = printable(study.record.metric[0])
            rows.append([name, metric, point.trials, point.value, point.low, point.high])
    return tuning_figure(rows, metrics, names)


def _part(key: str, study: _Study, name: str) -> StudyPart:
    metric = printable(study.record.metric[0])
    figures: list[Figure | None] = [history_figure(_history(study), metric)]
    keys = _keys(study)
    ended = zip(study.trials, study.values, strict=True)
    rated = [(one, value) for one, value in ended if _has_value(study, one)]
    if keys and len(rated) > 1:
        figures += [_importance(rated, metric), _parallel(study, keys, rated, metric)]
    return StudyPart(key, name, _about(study), [figure for figure in figures if figure is not None])


def _importance(rated: Sequence[tuple[TrialRecord, float]], metric: str) -> Figure | None:
    # What a trial had reached when it was stopped says when it was stopped, too.
    done = [(one.params, value) for one, value in rated if one.state == states.FINISHED]
    found = importance_of([params for params, _ in done], [value for _, value in done])
    if found is None:
        return None
    labels = _labels(list(found.shares))
    rows: list[list[Any]] = [[labels[key], share] for key, share in found.shares.items()]
    rows.sort(key=lambda row: -row[1])
    return importance_figure(rows[:_MOST_BARS], found.explained, metric)


def _about(study: _Study) -> str:
    record = study.record
    best = record.best_of(study.name)
    of_states = [sum(one.state == state for one in study.trials) for state in _STATES]
    told = ", ".join(
        f"{number:,} {word}" for number, word in zip(of_states, _STATES.values(), strict=True) if number
    )
    planned = f"{counted(record.trials, 'trial')} planned"
    text = f"{planned}: {told}; sampler {record.sampler}, pruner {record.pruner}."
    if best is not None and best.values is not None:
        value = metric_value(record.metric[0], best.values[0])
        text += f" Best on the validation images: {params_told(best.params)}, {value}."
    if not record.is_ended:
        text += " It has not ended, so its test images are closed."
    return printable(text)


def _has_value(study: _Study, trial: TrialRecord) -> bool:
    return value_of(study.sweep, study.record, trial) is not None


def _history(study: _Study) -> list[list[Any]]:
    best: float | None = None
    rows: list[list[Any]] = []
    for trial, value in zip(study.trials, study.values, strict=True):
        has_value = _has_value(study, trial)
        is_first = best is None or study.record.is_better(value, best)
        if trial.state == states.FINISHED and has_value and is_first:
            best = value
        state = _STATES[trial.state] if has_value else FAILED
        rows.append([trial.number, value, best, state, printable(cut(params_told(trial.params), 200))])
    return rows


def _keys(study: _Study) -> list[str]:
    """Those whose values differ."""
    keys = sorted({key for trial in study.trials for key in trial.params})
    return [key for key in keys if len({shown(trial.params.get(key)) for trial in study.trials}) > 1]


def _labels(keys: Sequence[str]) -> dict[str, str]:
    names = theme.distinct([cut(printable(key), _LONGEST_NAME) for key in keys], first=1)
    return dict(zip(keys, names, strict=True))


def _parallel(
    study: _Study, keys: Sequence[str], rated: Sequence[tuple[TrialRecord, float]], metric: str
) -> Figure:
    larger = study.record.is_better(1, 0)
    best_first = sorted(rated, key=lambda item: (-item[1] if larger else item[1], item[0].number))
    some, axes = best_first[:_MOST_LINES], list(keys[:_MOST_AXES])
    labels = theme.distinct([*_labels(axes).values(), metric], first=1)
    values = [value for _, value in some]
    columns: list[list[Any]] = [[one.params.get(key) for one, _ in some] for key in axes]
    texts = [[_told(value) for value in column] for column in columns]
    columns.append(list(values))
    texts.append([metric_value(metric, value) for value in values])
    rows: list[list[Any]] = []
    for label, column, told in zip(labels, columns, texts, strict=True):
        places = positions(column)
        for place, (one, _) in enumerate(some):
            rows.append([TRIAL, one.number, label, places[place], told[place], place + 1])
        for end, at in ((min(places), -0.05), (max(places), 1.05)):
            rows.append([END, None, label, at, told[places.index(end)], None])
    left = [f" {counted(len(keys) - len(axes), 'key')} left out."] if len(keys) > len(axes) else []
    left += [f" The best {len(some):,} of {len(rated):,} trials."] if len(some) < len(rated) else []
    return parallel_figure(rows, labels, metric, "".join(left))


def _told(value: Any) -> str:
    text = f"{value:.3g}" if is_plain_number(value) else shown(value)
    return cut(printable(text), _LONGEST_VALUE)
