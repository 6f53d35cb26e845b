"""A table fitted into the width of a terminal: nothing is ever broken inside a word or a number.

First all on one line a row; where that has no room, intervals go below their means; then columns go, those
of least use first, and a line says which. No torch here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.comparison.output.grid import ALWAYS, Cell, Column, Grid
from bakeoff.terminal import columns_of, filled, padded, painted, wrapped
from bakeoff.text import counted, cut

_GAP = "  "
_SHORTEST_NAME = 12  # characters that are left of a row's name in the table, if it is longer


@dataclass(frozen=True)
class Fitted:
    """What of a grid is drawn."""

    columns: list[Column]
    stacked: bool  # intervals below their means
    left_out: list[Column]
    shortened: set[int]  # rows whose names are cut


def fit(grid: Grid, width: int | None) -> Fitted:
    """Chooses what has room in a width; None has room for all."""
    columns, shortened = _names_fitted(grid, width)
    if width is None:
        return Fitted(columns, stacked=False, left_out=[], shortened=shortened)
    for stacked in (False, True):
        if _total(columns, stacked) <= width:
            return Fitted(columns, stacked=stacked, left_out=[], shortened=shortened)
    kept = {id(column) for column in columns if column.rank == ALWAYS}
    for column in sorted(columns, key=lambda column: column.rank):
        tried = [other for other in columns if id(other) in kept or other is column]
        if _total(tried, stacked=True) <= width:
            kept.add(id(column))
    left_out = [column for column in columns if id(column) not in kept]
    kept_columns = [column for column in columns if id(column) in kept]
    return Fitted(kept_columns, stacked=True, left_out=left_out, shortened=shortened)


def _names_fitted(grid: Grid, width: int | None) -> tuple[list[Column], set[int]]:
    """Cuts names that would leave nothing for the rest; they stand whole below the table."""
    most = None if width is None else max(_SHORTEST_NAME, width // 3)
    columns = []
    shortened = {row for row, name in enumerate(grid.names) if not _shows(grid, row, name)}
    for place, column in enumerate(grid.columns):
        cells = column.cells
        if most is not None and place == _place_of_names(grid) and max(map(_inline, cells)) > most:
            shortened |= {row for row, cell in enumerate(cells) if columns_of(cell.text) > most}
            cells = [Cell(cut(cell.text, most), cell.spread, cell.style) for cell in cells]
        columns.append(Column(column.name, column.title, cells, column.rank, column.is_key))
    return columns, shortened


def _place_of_names(grid: Grid) -> int:
    return max(place for place, column in enumerate(grid.columns) if column.rank == ALWAYS)


def _shows(grid: Grid, row: int, name: str) -> bool:
    return grid.columns[_place_of_names(grid)].cells[row].text.startswith(name)


def _inline(cell: Cell) -> int:
    return columns_of(cell.whole)


def _width(column: Column, stacked: bool) -> int:
    cells = [max(columns_of(c.text), columns_of(c.spread)) if stacked else _inline(c) for c in column.cells]
    return max(columns_of(column.title), *cells)


def _total(columns: Sequence[Column], stacked: bool) -> int:
    return sum(_width(column, stacked) for column in columns) + len(_GAP) * (len(columns) - 1)


def draw(grid: Grid, fitted: Fitted, colour: bool) -> list[str]:
    """The lines of the table."""
    columns = fitted.columns
    widths = [_width(column, fitted.stacked) for column in columns]
    name = _place_of_names(grid)

    def line(cells: Sequence[tuple[str, str]]) -> str:
        parts = [
            painted(padded(text, widths[place], right=place != name), style, colour)
            for place, (text, style) in enumerate(cells)
        ]
        return _GAP.join(parts).rstrip()

    lines = [
        line([(column.title, "bold") for column in columns]),
        "─" * (sum(widths) + len(_GAP) * (len(widths) - 1)),
    ]
    for row in range(len(columns[0].cells)):
        cells = [column.cells[row] for column in columns]
        lines += [""] if row in grid.blocks else []
        if not fitted.stacked:
            lines.append(line([(cell.whole, cell.style) for cell in cells]))
            continue
        lines.append(line([(cell.text, cell.style) for cell in cells]))
        if any(cell.spread for cell in cells):
            lines.append(line([(cell.spread, "dim") for cell in cells]))
    return lines


def legend(grid: Grid, fitted: Fitted, width: int | None) -> list[str]:
    """Below the table: what the columns do not say of the rows, and which columns have no room."""
    moved = [column for column in fitted.left_out if column.is_key]
    lines = []
    entries = []
    for row, name in enumerate(grid.names):
        parts = [f"{column.title}={column.cells[row].text}" for column in moved if column.cells[row].text]
        parts += grid.keys[row]
        if parts or row in fitted.shortened:
            entries.append((row + 1, [name, *parts]))
    if entries:
        num_hidden = grid.num_keys - max(map(len, grid.keys))
        more = f"; {counted(num_hidden, 'more key')}: --format csv" if num_hidden > 0 else ""
        lines += wrapped(f"what else tells the rows apart{more}", width)
        digits = len(str(len(grid.names)))
        for number, parts in entries:
            lines += filled(parts, width, " " * (digits + 4), f"  {number:>{digits}}  ")
    if names := [column.name for column in fitted.left_out if not column.is_key]:
        what = (
            f"{counted(len(names), 'column')} left out ({', '.join(names)}); --columns, or a wider terminal"
        )
        lines += wrapped(what, width)
    if grid.same:
        lines += wrapped(f"the same in every row: {', '.join(grid.same)}", width)
    return lines
