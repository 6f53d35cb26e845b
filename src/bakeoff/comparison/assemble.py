"""Checked runs -> tables with their statistics, as the options ask for. No torch here."""

import dataclasses
from collections.abc import Iterable, Sequence

from bakeoff.comparison.group import make_tables
from bakeoff.comparison.recipes import recipe_note
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table, numbered
from bakeoff.comparison.view import View, filtered, find_baseline, ordered, with_history
from bakeoff.errors import ConfigError, nearest


def compare_runs(runs: Iterable[Run], view: View, *, statistics: bool) -> list[Table]:
    """One table for each test set.

    Args:
        runs: finished ones.
        view: what to show.
        statistics: whether to test differences; the runs must have been read with their predictions.

    Raises:
        ConfigError: an option that names what there is not, or that leaves nothing.
    """
    tables = make_tables(runs)
    chosen = filtered(tables, view.where) if view.where is not None else [table.settings for table in tables]
    if view.where and tables and not any(chosen):
        why = "; only finished runs have a row, others are listed below" if "status" in view.where else ""
        raise ConfigError(f"--where {view.where}: no run is left of {sum(map(_num_runs, tables))}{why}")
    shown = [numbered(ordered(with_history(rows, view), view)) if rows else [] for rows in chosen]
    baselines = _baselines(chosen, shown, view.baseline)
    return [
        _arranged(table, _with_baseline(numbers, rows, baseline), view, baseline, statistics=statistics)
        for table, rows, numbers, baseline in zip(tables, chosen, shown, baselines, strict=True)
        if rows and (baseline or not view.baseline)
    ]


def _num_runs(table: Table) -> int:
    return sum(row.num_runs for row in table.settings)


def _baselines(
    chosen: Sequence[Sequence[SettingRow]], shown: Sequence[Sequence[SettingRow]], name: str | None
) -> list[str | None]:
    """The setting that the baseline's name means in each table."""
    if name is None:
        return [None] * len(chosen)
    baselines = [find_baseline(rows, name, numbers) for rows, numbers in zip(chosen, shown, strict=True)]
    if not any(baselines):
        known = [row.name for rows in chosen for row in rows]
        hint = nearest(name, known) or "; give a row's number, its name, or its model"
        raise ConfigError(f"--baseline {name}: no such configuration{hint}")
    return baselines


def _with_baseline(
    shown: list[SettingRow], rows: Sequence[SettingRow], baseline: str | None
) -> list[SettingRow]:
    """Shows the baseline also where --top would leave it out."""
    if baseline is None or any(row.setting == baseline for row in shown):
        return shown
    return numbered([*shown, next(row for row in rows if row.setting == baseline)])


def _arranged(
    table: Table, shown: list[SettingRow], view: View, baseline: str | None, *, statistics: bool
) -> Table:
    table = dataclasses.replace(table, notes=recipe_note(dataclasses.replace(table, settings=shown)))
    if not statistics:
        return dataclasses.replace(table, settings=shown)
    # SciPy takes a third of a second to load.
    from bakeoff.comparison.front import with_front
    from bakeoff.comparison.latency_budget import with_latency_budget
    from bakeoff.comparison.notes import notes
    from bakeoff.comparison.planned import with_plan
    from bakeoff.comparison.races import with_race
    from bakeoff.comparison.significance import with_statistics
    from bakeoff.comparison.tuning import with_tuning
    from bakeoff.comparison.verdict import reference, verdict

    tested = with_statistics(table, shown, baseline)
    tested = dataclasses.replace(tested, reference=baseline or reference(tested))
    tested = dataclasses.replace(tested, verdict=verdict(tested), notes=[*notes(tested), *tested.notes])
    tested = with_tuning(with_race(tested))
    if view.plan is not None:
        tested = with_plan(tested, view.plan)
    tested = with_front(tested, view.cost) if view.cost else tested
    if view.max_latency_ms is None:
        return tested
    shown_columns = (view.cost, *view.columns)
    has_column = any(name in shown_columns for name in ("latency", "latency_ms_batch1"))
    return with_latency_budget(tested, view.max_latency_ms, has_column=has_column)
