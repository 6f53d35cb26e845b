"""What of a comparison is shown: which runs, in which order, beside which baseline. No torch here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparison.comparability import why_times_differ
from bakeoff.comparison.estimates import estimates
from bakeoff.comparison.figures import RUN_FIGURES, Figure
from bakeoff.comparison.group import config_of, shown
from bakeoff.comparison.history import HistoryMetric, estimate, read_history, seconds_to
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.comparison.where import parse_where
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest


@dataclass(frozen=True)
class View:
    """The options of `bakeoff compare` that choose what is shown."""

    where: str | None = None
    group_by: tuple[str, ...] = ()
    sort: str | None = None
    top: int | None = None
    columns: tuple[str, ...] = ()
    only_changed: bool = False
    history: tuple[HistoryMetric, ...] = ()
    seconds_to: float | None = None
    cost: str | None = None  # a figure's name
    baseline: str | None = None

    def figure(self, name: str) -> Figure | None:
        """The figure of the runs, or of their histories, that a column shows; None of another column."""
        of_histories = {metric.name: metric.figure for metric in self.history}
        return RUN_FIGURES.get(name) or of_histories.get(name)


def run_values(run: Run) -> dict[str, Any]:
    """What an expression may name of a run: the keys of its config, and what its summary says of it."""
    own = {name: run.summary.get(name) for name in ("model", "family", "data", "seed", "setting", "run_id")}
    own |= {f"resolved.{name}": getattr(run, name) for name in ("device", "precision", "threads")}
    return dotted_keys(config_of(run)) | own | {"weights": run.text("weights")}


def filtered(tables: Sequence[Table], where: str) -> list[list[SettingRow]]:
    """For each table the settings with those of their runs for which an expression holds.

    A metric in it is the mean of the setting, so that no run can be chosen for its luck.

    Raises:
        ConfigError: an expression that cannot be read, or names what no run has.
    """
    values = [[[run_values(run) for run in row.members] for row in table.settings] for table in tables]
    names = {name for rows in values for runs in rows for run in runs for name in run} | set(RUN_FIGURES)
    condition = parse_where(where, names)
    chosen = []
    for table, rows in zip(tables, values, strict=True):
        kept = []
        for row, runs in zip(table.settings, rows, strict=True):
            means = {metric: row.mean(metric) for metric in RUN_FIGURES}
            members = tuple(run for run, own in zip(row.members, runs, strict=True) if condition(own | means))
            if len(members) == len(row.members):
                kept.append(row)
            elif members:
                kept.append(dataclasses.replace(row, members=members, metrics=estimates(members)))
        chosen.append(kept)
    return chosen


def with_history(rows: Sequence[SettingRow], view: View) -> list[SettingRow]:
    """Adds what the options ask of the runs' histories."""
    if not view.history and view.seconds_to is None:
        return list(rows)
    extended = []
    for row in rows:
        histories = [read_history(run) for run in row.members]
        metrics = row.metrics | {item.name: estimate(histories, item) for item in view.history}
        goal = None if view.seconds_to is None else seconds_to(histories, view.seconds_to)
        extended.append(dataclasses.replace(row, metrics=metrics, seconds_to=goal))
    return extended


def ordered(rows: Sequence[SettingRow], view: View) -> list[SettingRow]:
    """Best first by a metric, or by a key of the config; in blocks of one value of `--group-by`.

    Raises:
        ConfigError: an unknown name, or times that must not be ranked together.
    """
    in_order = list(rows)
    if view.sort:
        name, _, direction = view.sort.partition(":")
        if direction not in ("", "asc", "desc"):
            raise ConfigError(f"--sort {view.sort}: after the colon asc or desc")
        is_metric = any(name in row.metrics for row in rows)
        if not is_metric and not any(name in run_values(row.members[0]) for row in rows):
            raise ConfigError(f"--sort {name}: no such column{nearest(name, _names(rows))}")
        figure = view.figure(name)
        is_time = figure is not None and figure.is_time
        if is_time and (reason := why_times_differ([run for row in rows for run in row.members])):
            raise ConfigError(f"--sort {name}: times are not ranked: {reason}")
        larger_is_better = figure is not None and figure.better == "larger"
        falling = direction == "desc" if direction else larger_is_better
        in_order.sort(key=lambda row: row.name)
        in_order.sort(key=lambda row: _rank(row, name, is_metric=is_metric, falling=falling), reverse=falling)
        # What nothing confirms heads no table, whatever it claims.
        in_order.sort(key=lambda row: not row.has_predictions)
    for key in reversed(view.group_by):
        if not any(key in run_values(row.members[0]) for row in rows):
            raise ConfigError(f"--group-by {key}: no such key{nearest(key, _names(rows))}")
        in_order.sort(key=lambda row: _sortable(run_values(row.members[0]).get(key)))
    return in_order[: view.top]


def _rank(row: SettingRow, name: str, *, is_metric: bool, falling: bool) -> tuple[Any, ...]:
    value = row.mean(name) if is_metric else run_values(row.members[0]).get(name)
    # What has no value comes last in both directions.
    return ((value is not None) == falling, *_sortable(value))


def _sortable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return 1, 0.0, "" if value is None else shown(value)


def _names(rows: Sequence[SettingRow]) -> list[str]:
    return sorted({*RUN_FIGURES, *(key for row in rows for key in run_values(row.members[0]))})


def find_baseline(rows: Sequence[SettingRow], name: str) -> str | None:
    """The setting that a name, a model or the beginning of a setting stands for; None if none does.

    Raises:
        ConfigError: it stands for several.
    """
    for matches in (
        [row for row in rows if row.name == name],
        [row for row in rows if row.model == name],
        [row for row in rows if row.setting.startswith(name)],
    ):
        if len(matches) > 1:
            names = ", ".join(row.name for row in matches[:5])
            raise ConfigError(f"--baseline {name}: {len(matches)} settings are meant ({names}); name one")
        if matches:
            return matches[0].setting
    return None
