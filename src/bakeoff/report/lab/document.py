"""A document as a list of blocks; how each is written is another file's matter. No torch here.

Texts of blocks are plain: names of other people's stand in them as they are, and each writer shows them so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Heading:
    """A title of a part; level 1 is the document's own."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list, a text each."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table; its cells are text."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    texts: int = 1  # so many columns from the left hold text, all others hold numbers
    has_total: bool = False  # whether the last row is a sum


@dataclass(frozen=True)
class Picture:
    """A picture with the sentence below it."""

    name: str  # of its file, without an ending; letters, digits and `-` alone
    png: bytes
    caption: str
    described: str  # for those who do not see it
    width: int  # pixels on a page


@dataclass(frozen=True)
class ToDo:
    """What a person must add."""

    text: str


@dataclass(frozen=True)
class Code:
    """Command lines, to be copied."""

    lines: Sequence[str]


Block = Heading | Paragraph | Items | Grid | Picture | ToDo | Code
Kind = Literal["Table", "Figure"]
TODO = "TO DO (you):"


@dataclass(frozen=True)
class Document:
    """All of it."""

    title: str
    blocks: Sequence[Block]


def numbered(blocks: Sequence[Block]) -> list[tuple[Block, str]]:
    """Each block with what it is called, such as "Table 2"; "" for what has no number."""
    counts: dict[Kind, int] = {"Table": 0, "Figure": 0}
    found = []
    for block in blocks:
        kind: Kind | None = (
            "Table" if isinstance(block, Grid) else "Figure" if isinstance(block, Picture) else None
        )
        if kind is None:
            found.append((block, ""))
        else:
            counts[kind] += 1
            found.append((block, f"{kind} {counts[kind]}"))
    return found
