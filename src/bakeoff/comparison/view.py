"""What of a comparison is shown: which runs, in which order, beside which baseline. No torch here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparison.comparability import why_times_differ
from bakeoff.comparison.estimates import estimates
from bakeoff.comparison.figures import FIGURES, NAMED_FIGURES, SHORT_NAMES, Figure
from bakeoff.comparison.group import config_of, shown
from bakeoff.comparison.history import HistoryMetric, estimate, read_history, seconds_to
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.comparison.where import EitherText, parse_where
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest
from bakeoff.text import shortened

_SHARES = frozenset(name for figure in FIGURES if figure.is_share for name in (figure.name, figure.short))
_MOST_KEYS, _MOST_NAMES = 6, 20  # of a group in an error's line
# What an expression may name of a run beside figures and keys of the config.
_FACTS = ("name", "model", "family", "data", "seed", "weights", "setting", "run_id", "status", "date", "host")


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
    spread: str = "interval"  # or std: what stands beside a score's mean
    trials: bool = False  # whether those have a row by which a search has chosen
    plan: float | None = None  # points of a percent that are to be shown
    max_latency_ms: float | None = None  # for one image

    def figure(self, name: str) -> Figure | None:
        """The figure of the runs, or of their histories, that a column shows; None of another column."""
        of_histories = {metric.name: metric.figure for metric in self.history}
        return NAMED_FIGURES.get(name) or of_histories.get(name)


def run_values(row: SettingRow, run: Run | None = None) -> dict[str, Any]:
    """What an expression may name of one of a row's runs: its config's keys, and what is known of it.

    Args:
        row: a row of a table.
        run: one of its runs; without one the first, which has all keys as the others but the seed.
    """
    run = run or row.members[0]
    own = {name: run.summary.get(name) for name in ("model", "family", "data", "seed", "setting", "run_id")}
    own |= {"name": row.name, "status": run.summary.get("status"), "date": run.date, "host": run.host}
    own |= {f"resolved.{name}": getattr(run, name) for name in ("device", "precision", "threads")}
    return dotted_keys(config_of(run)) | own | {"weights": run.text("weights"), "data.title": run.data_title}


def filtered(tables: Sequence[Table], where: str) -> list[list[SettingRow]]:
    """For each table the settings with those of their runs for which an expression holds.

    A metric in it is the mean of the setting, so that no run can be chosen for its luck.

    Raises:
        ConfigError: an expression that cannot be read, or names what no run has.
    """
    values = [[[run_values(row, run) for run in row.members] for row in table.settings] for table in tables]
    names = {name for rows in values for runs in rows for run in runs for name in run} | set(NAMED_FIGURES)
    condition = parse_where(where, names, _SHARES)
    chosen = []
    for table, rows in zip(tables, values, strict=True):
        kept = []
        for row, runs in zip(table.settings, rows, strict=True):
            means = {name: row.mean(figure.name) for name, figure in NAMED_FIGURES.items()}
            members = tuple(
                run
                for run, own in zip(row.members, runs, strict=True)
                if condition(own | means | {"data": EitherText(str(own["data"]), run.data_title)})
            )
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
        histories = [read_history(run.path) for run in row.members]
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
        figure = view.figure(name)
        name = figure.name if name in NAMED_FIGURES and figure else name
        is_metric = any(name in row.metrics for row in rows)
        if not is_metric and not any(name in run_values(row) for row in rows):
            raise ConfigError(f"--sort {name}: no such column{hint(name, rows)}")
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
        if not any(key in run_values(row) for row in rows):
            raise ConfigError(f"--group-by {key}: no such key{hint(key, rows, figures=False)}")
        in_order.sort(key=lambda row: _sortable(run_values(row).get(key)))
    return in_order[: view.top]


def _rank(row: SettingRow, name: str, *, is_metric: bool, falling: bool) -> tuple[Any, ...]:
    value = row.mean(name) if is_metric else run_values(row).get(name)
    # What has no value comes last in both directions.
    return ((value is not None) == falling, *_sortable(value))


def _sortable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return 1, 0.0, "" if value is None else shown(value)


def hint(name: str, rows: Sequence[SettingRow], *, figures: bool = True, more: Sequence[str] = ()) -> str:
    """What was meant by a name that is none, else what there is.

    Args:
        name: as the user wrote it.
        rows: of the tables.
        figures: whether figures are names here.
        more: names that only the caller knows.
    """
    known = set().union(*(run_values(row) for row in rows)) - {*_FACTS, "schema"}
    scores = list(SHORT_NAMES) if figures else []
    if near := nearest(name, [*scores, *more, *_FACTS, *sorted(known)]):
        return near
    varying = {key for row in rows for key in row.changed}
    groups = {
        "metrics": scores,
        "facts of a run": list(dict.fromkeys((*more, *_FACTS))),
        # Those of the models' own are many, and come last.
        "keys that differ": sorted(known & varying, key=lambda key: (key.startswith("model."), key)),
    }
    told = [
        f"{title}: {shortened(names, _MOST_KEYS if 'keys' in title else _MOST_NAMES)}"
        for title, names in groups.items()
        if names
    ]
    return f"; there are {'; '.join(told)}; and all other keys: bakeoff train --help lists them"


def find_baseline(rows: Sequence[SettingRow], name: str, shown: Sequence[SettingRow]) -> str | None:
    """The setting that a row's number, a name, a model or the beginning of a setting stands for.

    Args:
        rows: of a table.
        name: as the user wrote it.
        shown: the rows as they are numbered.

    Returns:
        None if it stands for none.

    Raises:
        ConfigError: it stands for several.
    """
    for matches in (
        [row for row in rows if row.name == name],
        [row for row in rows if row.model == name],
        [row for row in shown if str(row.number) == name],
        [row for row in rows if row.setting.startswith(name)],
    ):
        if len(matches) > 1:
            numbers = ", ".join(
                str(row.number) for row in shown if row.setting in {m.setting for m in matches}
            )
            raise ConfigError(
                f"--baseline {name}: {len(matches)} configurations are meant; "
                f"give one by its number in the table ({numbers})"
            )
        if matches:
            return matches[0].setting
    return None
