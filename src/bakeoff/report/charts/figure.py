"""A figure of a report: numbers as columns and rows, and how Vega draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DATA = "data"  # what a specification calls the figure's rows
ROW_PIXELS = (
    "rowPixels"  # in its `usermeta`: the height of each line, where a choice changes how many there are
)


@dataclass(frozen=True)
class Choice:
    """A list to choose from, which sets a signal of the drawing."""

    signal: str
    label: str
    options: Sequence[tuple[str, str]]  # value, what a person reads
    value: str


@dataclass(frozen=True)
class Variant:
    """One way to draw the figure's numbers: by other axes, or other scores."""

    label: str
    spec: dict[str, Any]  # Vega-Lite
    about: str = ""  # what is seen in this one, beside the figure's own text


@dataclass(frozen=True)
class Figure:
    """What a page shows, and what can be taken from it as CSV.

    Attributes:
        key: unique in its table: letters alone.
        about: what is seen, in plain words.
        method: the section that says how it was computed.
        columns: of the rows, in their order: the names of the specification's fields.
    """

    key: str
    title: str
    about: str
    method: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    variants: Sequence[Variant]
    choices: Sequence[Choice] = ()
