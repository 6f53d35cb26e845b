"""The table of the page: cells as `compare` writes them, values to sort by, intervals drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.comparison.figures import NAMED_FIGURES
from bakeoff.comparison.output.grid import Cell, Grid
from bakeoff.comparison.run import UNKNOWN
from bakeoff.comparison.tables import Estimate, SettingRow, Table

_DRAWN = ("accuracy", "macro_f1", "nll")  # scores with intervals
_WIDTH, _EDGE = 120.0, 6.0  # of a drawing, in its own units


@dataclass(frozen=True)
class Drawing:
    """An interval within a cell: where its ends and its mean lie."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class PageCell:
    """What a cell shows, what it is sorted by (numbers as text, unrounded), and perhaps an interval.

    What has no value has nothing to be sorted by, and comes last in both directions.
    """

    text: str
    spread: str
    sort: str
    is_number: bool
    drawing: Drawing | None


@dataclass(frozen=True)
class PageTable:
    """Titles and rows; `details` are the keys of a row that have no column."""

    names: tuple[str, ...]  # of the columns, as options call them
    titles: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[PageCell, ...], ...]
    details: tuple[str, ...]


def page_table(table: Table, grid: Grid) -> PageTable:
    """The columns that `compare` would show with the same options."""
    scales = {name: _scale([row.metrics.get(name) for row in table.settings]) for name in _DRAWN}
    columns = [
        [
            _cell(cell, column.name, row, scales)
            for cell, row in zip(column.cells, table.settings, strict=True)
        ]
        for column in grid.columns
    ]
    numeric = [all(cell.is_number or not cell.sort for cell in column) for column in columns]
    return PageTable(
        tuple(column.name for column in grid.columns),
        tuple(column.title for column in grid.columns),
        tuple(numeric),
        tuple(zip(*columns, strict=True)),
        tuple(", ".join(keys) for keys in grid.keys),
    )


Scale = tuple[float, float] | None


def _scale(estimates: Sequence[Estimate | None]) -> Scale:
    """From the lowest to the highest end of all intervals."""
    ends = [end for one in estimates if one for end in (one.low, one.high) if end is not None]
    return (min(ends), max(ends)) if ends and min(ends) < max(ends) else None


def _cell(cell: Cell, column: str, row: SettingRow, scales: dict[str, Scale]) -> PageCell:
    figure = NAMED_FIGURES.get(column)
    mean = row.mean(figure.name) if figure else None
    if cell.text == UNKNOWN:
        sort, is_number = "", False
    elif mean is not None:
        sort, is_number = repr(float(mean)), True
    else:
        sort, is_number = _sortable(cell.text)
    drawing = None
    if figure and figure.name in _DRAWN and (scale := scales[figure.name]):
        drawing = _drawing(row.metrics.get(figure.name), scale)
    return PageCell(cell.text, cell.spread, sort, is_number, drawing)


def _sortable(text: str) -> tuple[str, bool]:
    try:
        return repr(float(text.replace(",", ""))), True
    except ValueError:
        return text, False


def _drawing(estimate: Estimate | None, scale: tuple[float, float]) -> Drawing | None:
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    low, high = scale
    places = [
        round(_EDGE + (value - low) / (high - low) * (_WIDTH - 2 * _EDGE), 2)
        for value in (estimate.low, estimate.mean, estimate.high)
    ]
    return Drawing(*places)
