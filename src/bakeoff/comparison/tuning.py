"""What a table says of the searches (`bakeoff tune`) that its rows come from. No torch here.

Of many trials the best is lucky, and more trials find better values: how many each row had belongs beside
its score.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.comparison.figures import EPOCH_FIGURES
from bakeoff.comparison.history import HistoryMetric, read_history
from bakeoff.comparison.open_studies import metric_value
from bakeoff.comparison.statistics.expected_best import ExpectedBest, expected_best
from bakeoff.comparison.tables import StudyCurve, Table
from bakeoff.runs.search_record import ConfirmedRecord, TrialRecord, TuneRecord
from bakeoff.runs.states import FAILED, FINISHED, PRUNED
from bakeoff.runs.studies import run_name, sweep_of, tune_of
from bakeoff.text import counted

COUNTS = (5, 10, 25, 50, 100, 200, 500, 1000)  # of trials that are told, and each study's own number
_MOST_STUDIES = 20


@dataclass(frozen=True)
class _Found:
    """A study that rows of a table come from."""

    sweep: Path
    record: TuneRecord
    name: str
    settings: tuple[str, ...]


def with_tuning(table: Table) -> Table:
    """Adds what is known of the searches; a table without any stays as it is."""
    found = _studies(table)
    if not found:
        return table
    names = _names(found)
    curves = [curve for one in found if (curve := _curve(one, names[one.sweep, one.name], found)) is not None]
    known = replace(table, tuning=tuple(curves[:_MOST_STUDIES]))
    notes = [*_of_budgets(known, found), *_of_luck(found), *_of_trials(known)]
    return replace(known, notes=[*notes, *table.notes])


def _studies(table: Table) -> list[_Found]:
    rows: dict[tuple[Path, str], list[str]] = {}
    for row in table.settings:
        for run in row.members:
            sweep = sweep_of(run.path)
            record = tune_of(sweep)
            study = record.study_of_runs.get(run_name(run.path)) if record else None
            if study is not None:
                rows.setdefault((sweep, study), []).append(row.setting)
    found = []
    for (sweep, name), settings in rows.items():
        record = tune_of(sweep)
        if record is not None:
            found.append(_Found(sweep, record, name, tuple(dict.fromkeys(settings))))
    return found


def _names(found: Sequence[_Found]) -> dict[tuple[Path, str], str]:
    """The study's name, with its sweep's where several are called so."""
    times = Counter(one.name for one in found)
    return {
        (one.sweep, one.name): one.name if times[one.name] == 1 else f"{one.name} ({one.sweep.name})"
        for one in found
    }


def _curve(one: _Found, name: str, others: Sequence[_Found]) -> StudyCurve | None:
    trials = [trial for trial in one.record.results if trial.study == one.name]
    values = trial_values(one.sweep, one.record, trials)
    if not values:
        return None
    budgets = {_budget(other) for other in others}
    counts = sorted({*(count for count in COUNTS if count < len(values)), len(values), *budgets} - {0})
    states = Counter(trial.state for trial in trials)
    model = next((study.model for study in one.record.studies if study.name == one.name), one.name)
    larger = one.record.is_better(1, 0)
    return StudyCurve(
        study=name,
        model=model,
        sweep=one.sweep.name,
        metric=one.record.metric[0],
        larger_is_better=larger,
        num_trials=len(values),
        num_pruned=states[PRUNED],
        num_failed=states[FAILED],
        values=tuple(values),
        points=tuple(expected_best(values, counts, larger_is_better=larger)),
        settings=one.settings,
    )


def trial_values(sweep: Path, record: TuneRecord, trials: Sequence[TrialRecord]) -> list[float]:
    """One for each trial that has ended, by the first metric.

    One that was stopped early counts with the best it had reached, a failed one as the worst of all.
    """
    values = [value_of(sweep, record, trial) for trial in trials if trial.state in (FINISHED, PRUNED, FAILED)]
    known = [value for value in values if value is not None]
    if not known:
        return []
    worst = min(known) if record.is_better(1, 0) else max(known)
    return [worst if value is None else value for value in values]


def value_of(sweep: Path, record: TuneRecord, trial: TrialRecord) -> float | None:
    """Of one trial; None of a failed one, and of one that was stopped before it had a value."""
    if trial.state == FINISHED and trial.values is not None:
        return trial.values[0]
    figure = EPOCH_FIGURES.get(record.metric[0])
    if trial.state != PRUNED or trial.run is None or figure is None:
        return None
    return HistoryMetric("best", figure).of(read_history(sweep / trial.run))


def _budget(one: _Found) -> int:
    """Trials that have ended."""
    ended = (FINISHED, PRUNED, FAILED)
    return sum(trial.study == one.name and trial.state in ended for trial in one.record.results)


def _of_budgets(table: Table, found: Sequence[_Found]) -> list[str]:
    """Rows whose keys were chosen with more trials than others' have an advantage."""
    searched = {setting for one in found for setting in one.settings}
    rest = [row.label for row in table.settings if row.setting not in searched]
    curves = sorted(table.tuning, key=lambda curve: -curve.num_trials)
    notes = []
    if rest and curves:
        told = ", ".join(f"{curve.study} with {counted(curve.num_trials, 'trial')}" for curve in curves)
        notes.append(f"caution: some were tuned ({told}), others were not: {', '.join(rest[:10])}")
    budgets = {curve.num_trials for curve in curves}
    if len(budgets) < 2:
        return notes
    least = min(budgets)
    first = ", ".join(f"{curve.study} with {curve.num_trials:,}" for curve in curves)
    fair = "; ".join(
        f"{curve.study} {metric_value(curve.metric, point.value)}"
        for curve in curves
        if (point := _at(curve, least)) is not None
    )
    return [
        *notes,
        f"caution: tuned with different numbers of trials: {first}; expected best of {least:,}: {fair}",
    ]


def _at(curve: StudyCurve, trials: int) -> ExpectedBest | None:
    return next((point for point in curve.points if point.trials == trials), None)


def _of_luck(found: Sequence[_Found]) -> list[str]:
    """How much of the winner's score in the search was luck, by its runs with new seeds."""
    notes = []
    names = _names(found)
    for one in found:
        name = names[one.sweep, one.name]
        first = next((row for row in one.record.confirmed if row.study == one.name and row.rank == 1), None)
        if first is not None:
            notes += _confirmed(name, first, one.record)
        elif not one.record.confirmed:
            notes.append(
                f"{name}: the best of {counted(_budget(one), 'trial')} and never trained again: a lucky seed "
                "is a part of why it was chosen, so new seeds will probably do a little worse"
            )
    return notes


def _confirmed(name: str, row: ConfirmedRecord, record: TuneRecord) -> list[str]:
    if row.search is None or row.mean is None:
        return []
    metric = record.metric[0]
    search, again = metric_value(metric, row.search), metric_value(metric, row.mean)
    luck = ": the first is a chosen one, the best of many" if record.is_better(row.search, row.mean) else ""
    return [f"{name}: its best trial had {metric} {search} in the search, {again} with new seeds{luck}"]


def _of_trials(table: Table) -> list[str]:
    """With --all: rows that a search has chosen by."""
    chosen = [run for row in table.settings for run in row.members if _is_chosen_by(run.path)]
    if not chosen:
        return []
    runs = "run here is a trial" if len(chosen) == 1 else "runs here are trials"
    return [f"caution: {len(chosen):,} {runs} of a search, whose scores are chosen ones"]


def _is_chosen_by(run: Path) -> bool:
    record = tune_of(sweep_of(run))
    return record is not None and run_name(run) in record.left_out_runs
