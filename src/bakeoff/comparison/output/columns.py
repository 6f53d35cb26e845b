"""The cells of a table as people read it. No torch here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bakeoff.comparison.figures import RUN_FIGURES
from bakeoff.comparison.group import shown
from bakeoff.comparison.history import HistoryMetric
from bakeoff.comparison.recipes import is_told
from bakeoff.comparison.run import UNKNOWN
from bakeoff.comparison.tables import Estimate, SecondsTo, SettingRow, Table
from bakeoff.comparison.view import View, run_values
from bakeoff.errors import ConfigError, nearest
from bakeoff.text import printable

Cell = Callable[[SettingRow], str]
_MOST_KEY_COLUMNS = 4
# Columns that are neither a figure nor a key of the config.
_OTHERS: dict[str, Cell] = {
    "weights": lambda row: row.weights,
    "n": lambda row: str(row.num_runs),
    "group": lambda row: row.tie_group or "",
    "seeds": lambda row: " ".join(map(str, row.seeds)),
    "front": lambda row: "*" if row.on_front else "",
}
_DEFAULT = ("weights", "n", "group", *(figure.name for figure in RUN_FIGURES.values() if figure.by_default))


@dataclass(frozen=True)
class Grid:
    """Titles and cells, safe to print; `blocks` are the rows at which a new group begins."""

    titles: list[str]
    rows: list[list[str]]
    blocks: frozenset[int] = frozenset()


def make_grid(table: Table, view: View) -> Grid:
    """The cells of one table.

    Raises:
        ConfigError: `--columns` names what there is not.
    """
    columns = _columns(table, view)
    rows = [[cell(row) for cell in columns.values()] for row in table.settings]
    titles = list(columns)
    if view.only_changed and len(rows) > 1:
        kept = [i for i in range(len(titles)) if i == 0 or len({row[i] for row in rows}) > 1]
        titles, rows = [titles[i] for i in kept], [[row[i] for i in kept] for row in rows]
    blocks = {
        place
        for place in range(1, len(rows))
        if _group(table.settings[place], view) != _group(table.settings[place - 1], view)
    }
    return Grid(
        [printable(title) for title in titles],
        [[printable(cell) for cell in row] for row in rows],
        frozenset(blocks),
    )


def _columns(table: Table, view: View) -> dict[str, Cell]:
    """Title -> what makes its cells."""
    columns: dict[str, Cell] = {"setting": lambda row: _title(row, view)}
    for key in view.group_by:
        columns[key] = _key_cell(key)
    names = list(view.columns or _DEFAULT)
    if view.cost and not view.columns and view.cost not in names:
        names.append(view.cost)
    for name in names:
        if name == "group" and not view.columns and not any(row.tie_group for row in table.settings):
            continue
        title, cell = _column(name, table)
        columns[title] = cell
    for metric in view.history:
        columns[metric.name] = _history_cell(metric)
    if view.seconds_to is not None:
        columns[f"s to val {view.seconds_to:g}"] = lambda row: _seconds_cell(row.seconds_to)
    if any(row.on_front is not None for row in table.settings):
        columns["front"] = _OTHERS["front"]
    return columns if view.columns else columns | _key_columns(table, view)


def _column(name: str, table: Table) -> tuple[str, Cell]:
    if figure := RUN_FIGURES.get(name):
        form = figure.factor, figure.decimals
        return figure.title, lambda row: _cell(row.metrics[name], *form, scatters=figure.is_cost)
    if name in _OTHERS:
        return name, _OTHERS[name]
    known = {key for row in table.settings for key in run_values(row.members[0])}
    if name not in known:
        hint = nearest(name, [*RUN_FIGURES, *_OTHERS, *known]) or f"; there are {', '.join(RUN_FIGURES)}"
        raise ConfigError(f"--columns {name}: no such column{hint}")
    return name, _key_cell(name)


def _title(row: SettingRow, view: View) -> str:
    """The row's name; short where columns of the config's keys say the rest."""
    short = f"{row.model} ({row.resolved})" if row.resolved else row.model
    return (row.name if view.columns else short) + ("" if row.has_predictions else " (no predictions)")


def _key_cell(key: str) -> Cell:
    def cell(row: SettingRow) -> str:
        value = run_values(row.members[0]).get(key)
        return "" if value is None else shown(value)

    return cell


def _group(row: SettingRow, view: View) -> tuple[str, ...]:
    return tuple(_key_cell(key)(row) for key in view.group_by)


def _key_columns(table: Table, view: View) -> dict[str, Cell]:
    """The keys that tell settings apart: a few get columns of their own, many share one."""
    changed = {key for row in table.settings for key in row.changed} - set(view.group_by)
    keys = sorted(key for key in changed if is_told(key, table))  # once for each key: it looks at every row
    if len(keys) <= _MOST_KEY_COLUMNS:
        return {key: _changed_cell(key) for key in keys}

    def together(row: SettingRow) -> str:
        values = ((key, _changed_cell(key)(row)) for key in keys)
        return " ".join(f"{key}={value}" for key, value in values if value)

    return {"differs in": together}


def _changed_cell(key: str) -> Cell:
    return lambda row: shown(row.changed[key]) if key in row.changed else ""


def _cell(estimate: Estimate | None, factor: float, decimals: int, *, scatters: bool) -> str:
    """Mean with its interval; what an interval does not suit has its deviation."""
    if estimate is None:
        return UNKNOWN
    text = f"{estimate.mean * factor:,.{decimals}f}"
    if estimate.low is not None and estimate.high is not None and not scatters:
        return f"{text} [{estimate.low * factor:,.{decimals}f}, {estimate.high * factor:,.{decimals}f}]"
    # Parameters do not scatter; a deviation of 0 would only be noise in the table.
    return text if not estimate.std else f"{text} ± {estimate.std * factor:,.{decimals}f}"


def _history_cell(metric: HistoryMetric) -> Cell:
    figure = metric.figure

    def cell(row: SettingRow) -> str:
        estimate = row.metrics[metric.name]
        if figure.is_share:
            text = _cell(estimate, figure.factor, figure.decimals, scatters=True)
            return f"{text} %" if estimate else text
        return _cell(estimate, 1, 4, scatters=True)

    return cell


def _seconds_cell(goal: SecondsTo | None) -> str:
    """The median; where not every run reached the goal, how many did and for how long the others tried."""
    if goal is None:
        return UNKNOWN
    total = len(goal.reached) + len(goal.missed)
    if not goal.missed:
        return f"{goal.median:,.1f}"
    tried = f"> {min(goal.missed):,.1f}" if goal.median is None else f"{goal.median:,.1f}"
    return f"{tried} ({len(goal.reached)} of {total})"


def caption(table: Table) -> str:
    """What the numbers of a table are."""
    classes = f", {len(table.class_names)} classes" if table.class_names else ""
    spread = (
        "mean over n seeds [95 % interval: other seeds, other test images]"
        if table.is_tested
        else "mean ± standard deviation over n seeds"
    )
    tie = "; same letter: no proven difference" if any(row.tie_group for row in table.settings) else ""
    return printable(f"{table.data}: {table.num_images:,} test images{classes}; test scores, {spread}{tie}")


def remarks(table: Table) -> tuple[Sequence[str], Sequence[str]]:
    """Verdict and notes, safe to print."""
    return [printable(text) for text in table.verdict], [printable(text) for text in table.notes]
