"""Checked runs -> tables with their statistics, as the options ask for. No torch here."""

import dataclasses
from collections.abc import Iterable, Sequence

from bakeoff.comparison.group import make_tables
from bakeoff.comparison.recipes import recipe_note
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table
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
    if tables and not any(chosen):
        raise ConfigError(f"--where {view.where}: no run is left")
    baselines = _baselines(chosen, view.baseline)
    return [
        _arranged(table, rows, view, baseline, statistics=statistics)
        for table, rows, baseline in zip(tables, chosen, baselines, strict=True)
        if rows and (baseline or not view.baseline)
    ]


def _baselines(chosen: Sequence[Sequence[SettingRow]], name: str | None) -> list[str | None]:
    """The setting that the baseline's name means in each table."""
    if name is None:
        return [None] * len(chosen)
    baselines = [find_baseline(rows, name) for rows in chosen]
    if not any(baselines):
        known = [row.name for rows in chosen for row in rows]
        raise ConfigError(f"--baseline {name}: no such setting{nearest(name, known)}")
    return baselines


def _arranged(
    table: Table, rows: Sequence[SettingRow], view: View, baseline: str | None, *, statistics: bool
) -> Table:
    shown = ordered(with_history(rows, view), view)
    if baseline and all(row.setting != baseline for row in shown):
        shown.append(next(row for row in rows if row.setting == baseline))
    table = dataclasses.replace(table, notes=recipe_note(dataclasses.replace(table, settings=shown)))
    if not statistics:
        return dataclasses.replace(table, settings=shown)
    # SciPy takes a third of a second to load.
    from bakeoff.comparison.front import with_front
    from bakeoff.comparison.notes import notes
    from bakeoff.comparison.significance import with_statistics
    from bakeoff.comparison.verdict import verdict

    tested = with_statistics(table, shown, baseline)
    tested = dataclasses.replace(
        tested, verdict=verdict(tested, baseline), notes=[*notes(tested), *tested.notes]
    )
    return with_front(tested, view.cost) if view.cost else tested
