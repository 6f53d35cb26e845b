"""A table as titles and cells that are safe to print, before it is fitted into a width. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparison.group import shown
from bakeoff.text import cut, printable

LONGEST_VALUE = 40  # characters of a cell; CSV and JSON have all of it
_LONGEST_NUMBER = 8  # characters, after which digits go
ALWAYS = 0  # the rank of a column that is never left out


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table."""

    text: str
    spread: str = ""  # such as [96.63, 99.41]: beside the text, or below it where a line does not hold both
    style: str = ""

    @property
    def whole(self) -> str:
        """Both on one line."""
        return f"{self.text} {self.spread}" if self.spread else self.text


def cell(text: str, spread: str = "", style: str = "") -> Cell:
    """A cell of a text of anybody's."""
    return Cell(cut(printable(text), LONGEST_VALUE), spread, style)


def value_cell(value: Any) -> Cell:
    """A cell of a config's value, as one would type it; of a long number six digits."""
    text = shown(value)
    if isinstance(value, float) and len(text) > _LONGEST_NUMBER:
        text = f"{value:.6g}"
    return cell(text)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str  # as an option calls it
    title: str
    cells: Sequence[Cell]
    rank: int  # the smaller, the longer it is kept where the width does not hold all
    is_key: bool = False  # of the config: where it has no room, it is told below the table

    @property
    def same(self) -> bool:
        """Whether it tells no row from another."""
        return len({cell.whole for cell in self.cells}) == 1


@dataclass(frozen=True)
class Grid:
    """A table to be written.

    Attributes:
        names: each row's name and keys, as said below the table where the columns do not say it.
    """

    columns: list[Column]
    blocks: frozenset[int]  # rows at which a new group begins
    names: list[str]
    keys: list[list[str]]  # of each row the keys that have no column, as optim.lr=0.1
    num_keys: int  # how many such keys there are
    same: list[str]  # what --only-changed left out, as "n 3"

    @property
    def titles(self) -> list[str]:
        """Of all columns."""
        return [column.title for column in self.columns]

    @property
    def rows(self) -> list[list[str]]:
        """All cells, on one line each."""
        return [
            list(row) for row in zip(*([c.whole for c in col.cells] for col in self.columns), strict=True)
        ]
