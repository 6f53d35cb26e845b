"""Which columns a table has, and their cells as people read them. No torch here."""

from collections.abc import Callable

from bakeoff.comparison.figures import NAMED_FIGURES, Figure
from bakeoff.comparison.group import shown
from bakeoff.comparison.history import HistoryMetric
from bakeoff.comparison.output.grid import ALWAYS, Cell, Column, Grid, cell, value_cell
from bakeoff.comparison.recipes import is_told
from bakeoff.comparison.run import UNKNOWN
from bakeoff.comparison.tables import Estimate, SecondsTo, SettingRow, Table
from bakeoff.comparison.view import View, hint, run_values
from bakeoff.errors import ConfigError
from bakeoff.text import cut, printable

MakeCell = Callable[[SettingRow], Cell]
_MOST_KEY_COLUMNS = 4
_MOST_KEYS = 6  # told of a row below the table
_LONGEST_TITLE = 40  # characters of a row's name, and of a column's
_GROUP_STYLES = ("green", "yellow", "magenta", "blue", "cyan")
NUMBER, NAME = "#", "configuration"


def _weights(row: SettingRow) -> Cell:
    return cell("from scratch" if row.weights == "none" else row.weights)


def _group(row: SettingRow) -> Cell:
    first = (row.tie_group or "a")[0]
    place = ord(first) - ord("a")
    return cell(
        row.tie_group or "-", style=_GROUP_STYLES[place % len(_GROUP_STYLES)] if row.tie_group else ""
    )


# Columns that are neither a figure nor a key of the config.
_OTHERS: dict[str, MakeCell] = {
    "weights": _weights,
    "n": lambda row: cell(str(row.num_runs)),
    "group": _group,
    "seeds": lambda row: cell(" ".join(map(str, row.seeds))),
    "front": lambda row: cell("-" if row.on_front is None else "*" if row.on_front else ""),
}
_FIGURES = ("accuracy", "macro_f1", "nll", "train_seconds", "parameters")
_DEFAULT = ("weights", "n", "group", *_FIGURES)
# Where the width does not hold all, the later ones go first. What was asked for comes before.
_RANKS = {name: 10 + place for place, name in enumerate(("accuracy", "n", "group"))} | {
    name: 30 + place
    for place, name in enumerate(("weights", "nll", "train_seconds", "parameters", "macro_f1"))
}
_ASKED_RANK, _KEY_RANK = 1, 20


def make_grid(table: Table, view: View) -> Grid:
    """The columns of one table.

    Raises:
        ConfigError: `--columns` names what there is not, or what this table cannot have.
    """
    columns = [*_first_columns(table), *_asked_columns(table, view)]
    same: list[str] = []
    if view.only_changed and len(table.settings) > 1:
        left_out = [column for column in columns if column.rank != ALWAYS and column.same]
        same = [f"{column.title} {column.cells[0].whole or '-'}" for column in left_out]
        columns = [column for column in columns if column not in left_out]
    telling = _telling_keys(table, view)
    hidden = [key for key in telling if all(column.name != key for column in columns)]
    blocks = {
        place
        for place in range(1, len(table.settings))
        if _block(table.settings[place], view) != _block(table.settings[place - 1], view)
    }
    return Grid(
        columns,
        frozenset(blocks),
        [printable(row.title) for row in table.settings],
        [_keys_of(row, hidden[:_MOST_KEYS]) for row in table.settings],
        len(hidden),
        same,
    )


def _first_columns(table: Table) -> list[Column]:
    """Number and name; one row needs no number."""
    best = _best(table)
    numbers = Column(NUMBER, NUMBER, [cell(str(row.number)) for row in table.settings], ALWAYS)
    names = [
        Cell(printable(_name(row)), style="bold green" if row.setting in best else "bold")
        for row in table.settings
    ]
    return [*([numbers] if len(table.settings) > 1 else []), Column(NAME, NAME, names, ALWAYS)]


def _name(row: SettingRow) -> str:
    marks = [*([row.mark] if row.mark else []), *([] if row.has_predictions else ["no predictions"])]
    return cut(row.title, _LONGEST_TITLE) + "".join(f" ({mark})" for mark in marks)


def _best(table: Table) -> set[str]:
    """The settings that no other is proven to beat."""
    return {row.setting for row in table.settings if "a" in (row.tie_group or "") and len(table.settings) > 1}


def _asked_columns(table: Table, view: View) -> list[Column]:
    """What the options ask for, or what is shown without them."""
    made = [_column(key, _key_cell(key), table, _ASKED_RANK, is_key=True) for key in view.group_by]
    if view.columns:
        made += [_named(name, table, view, rank) for rank, name in enumerate(view.columns, _ASKED_RANK)]
    else:
        ordering, _, _ = (view.sort or "").partition(":")
        wanted = [_short(name) for name in (view.cost, ordering) if name in (*NAMED_FIGURES, "date", "host")]
        names = dict.fromkeys([*(name for name in _DEFAULT if _by_default(name, table)), *wanted])
        ranks = _RANKS | dict.fromkeys(wanted, _ASKED_RANK)
        made += [_named(name, table, view, ranks[name]) for name in names]
    made += [_column(metric.name, _history_cell(metric), table, _ASKED_RANK) for metric in view.history]
    if view.seconds_to is not None:
        title = f"s to val {view.seconds_to:g}"
        made.append(_column(title, lambda row: _seconds_cell(row.seconds_to), table, _ASKED_RANK))
    if any(row.on_front is not None for row in table.settings):
        made.append(_column("front", _OTHERS["front"], table, _ASKED_RANK))
    if not view.columns:
        telling = _telling_keys(table, view)
        keys = telling if len(telling) <= _MOST_KEY_COLUMNS else []
        made += [_column(key, _changed_cell(key), table, _KEY_RANK, is_key=True) for key in keys]
    return list({column.title: column for column in made}.values())  # a key may be asked for twice


def _short(name: str | None) -> str:
    figure = NAMED_FIGURES.get(name or "")
    return figure.short if figure else name or ""


def _by_default(name: str, table: Table) -> bool:
    if name == "group":
        return any(row.tie_group for row in table.settings)
    # The caption says what all have alike.
    return name != "weights" or len({row.weights for row in table.settings}) > 1


def _column(name: str, make: MakeCell, table: Table, rank: int, *, is_key: bool = False) -> Column:
    title = cut(printable(name), _LONGEST_TITLE)
    return Column(name, title, [make(row) for row in table.settings], rank, is_key)


def _named(name: str, table: Table, view: View, rank: int) -> Column:
    """A column by a name that the user may give."""
    if figure := NAMED_FIGURES.get(name):
        cells = [_figure_cell(figure, row, view) for row in table.settings]
        return Column(figure.short, figure.title, cells, rank)
    if name == "front" and view.cost is None:
        raise ConfigError("--columns front: of which cost? give --cost NAME too, such as --cost parameters")
    if name in _OTHERS:
        return _column(name, _OTHERS[name], table, rank)
    if all(name not in run_values(row) for row in table.settings):
        names = hint(name, table.settings, more=tuple(_OTHERS))
        raise ConfigError(f"--columns {name}: no such column{names}")
    return _column(name, _key_cell(name), table, rank, is_key=True)


def _key_cell(key: str) -> MakeCell:
    def make(row: SettingRow) -> Cell:
        value = run_values(row).get(key)
        return Cell("") if value is None else value_cell(value)

    return make


def _block(row: SettingRow, view: View) -> tuple[str, ...]:
    return tuple(shown(run_values(row).get(key)) for key in view.group_by)


def _telling_keys(table: Table, view: View) -> list[str]:
    """The keys that tell rows of one model apart, beside those that make blocks."""
    changed = {key for row in table.settings for key in row.changed} - set(view.group_by)
    return sorted(key for key in changed if is_told(key, table))  # once for each key: it looks at every row


def _changed_cell(key: str) -> MakeCell:
    return lambda row: value_cell(row.changed[key]) if key in row.changed else Cell("")


def _keys_of(row: SettingRow, keys: list[str]) -> list[str]:
    return [f"{printable(key)}={value_cell(row.changed[key]).text}" for key in keys if key in row.changed]


def _figure_cell(figure: Figure, row: SettingRow, view: View) -> Cell:
    scatters = figure.is_cost or view.spread == "std"
    return _estimate_cell(row.metrics[figure.name], figure.factor, figure.decimals, scatters=scatters)


def _estimate_cell(estimate: Estimate | None, factor: float, decimals: int, *, scatters: bool) -> Cell:
    """Mean with its interval; what an interval does not suit has its deviation."""
    if estimate is None:
        return Cell(UNKNOWN, style="dim")
    text = f"{estimate.mean * factor:,.{decimals}f}"
    if estimate.low is not None and estimate.high is not None and not scatters:
        return Cell(text, f"[{estimate.low * factor:,.{decimals}f}, {estimate.high * factor:,.{decimals}f}]")
    # Parameters do not scatter; a deviation of 0 would only be noise in the table.
    return Cell(text, f"± {estimate.std * factor:,.{decimals}f}" if estimate.std else "")


def _history_cell(metric: HistoryMetric) -> MakeCell:
    figure = metric.figure

    def make(row: SettingRow) -> Cell:
        factor, decimals = (figure.factor, figure.decimals) if figure.is_share else (1.0, 4)
        found = _estimate_cell(row.metrics[metric.name], factor, decimals, scatters=True)
        unit = " %" if figure.is_share and row.metrics[metric.name] else ""
        return Cell(found.text + unit, found.spread + (unit if found.spread else ""), found.style)

    return make


def _seconds_cell(goal: SecondsTo | None) -> Cell:
    """The median; where not every run reached the goal, how many did and for how long the others tried."""
    if goal is None:
        return Cell(UNKNOWN, style="dim")
    total = len(goal.reached) + len(goal.missed)
    if not goal.missed:
        return Cell(f"{goal.median:,.1f}")
    tried = f"> {min(goal.missed):,.1f}" if goal.median is None else f"{goal.median:,.1f}"
    return Cell(tried, f"({len(goal.reached)} of {total})")
