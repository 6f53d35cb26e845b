"""Colours and marks that all figures share.

Colours are names of the page's own (`var(--row-0)`), so one drawing serves light, dark and printed pages. A
row differs in shape and dash as well, for those who see few colours, and in grey print. Any two colours of
rows are 20 apart (CIE 1976) also without red or green cones, with enough contrast on their paper; tests
measure that.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.tables import Table
from bakeoff.text import printable

if TYPE_CHECKING:
    import altair as alt

INK, FAINT, LINE, PAPER = "var(--ink)", "var(--faint)", "var(--line)", "var(--paper)"
HEAT, LOSS = "var(--heat)", "var(--loss)"  # of a positive and a negative share
NUM_COLOURS = 8
_FONT = "system-ui, sans-serif"
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke", "triangle-right")
MOST_SHOWN = 8  # rows that a figure shows at once
SHOWN = "shown"  # the signal with the labels of the rows that the table shows

LIGHT = {
    "paper": "#ffffff", "card": "#f6f7f9", "ink": "#1c2430", "faint": "#556070", "line": "#d5dae1",
    "accent": "#0b5cad", "good": "#0a6b3d", "bad": "#a32117", "heat": "#0b5cad", "loss": "#b3480a",
    "row-0": "#0068a8", "row-1": "#c24e00", "row-2": "#5522bb", "row-3": "#ff5566",
    "row-4": "#773311", "row-5": "#7788ff", "row-6": "#dd6699", "row-7": "#554444",
}  # fmt: skip
DARK = {
    "paper": "#12161c", "card": "#1b212a", "ink": "#e8ecf1", "faint": "#a5b0bf", "line": "#3a4452",
    "accent": "#79b8ff", "good": "#5ed39b", "bad": "#ff8f85", "heat": "#62aef2", "loss": "#ff9d5c",
    "row-0": "#5db4f0", "row-1": "#ff8c4a", "row-2": "#8866ff", "row-3": "#ffdd00",
    "row-4": "#55eedd", "row-5": "#ee00aa", "row-6": "#aaee99", "row-7": "#aa9988",
}  # fmt: skip
# What every object of JavaScript has: Vega would find these where it looks for a row of that name.
_JAVASCRIPTS = frozenset((
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__",
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
    "toString", "valueOf",
))  # fmt: skip
_TEXT = {
    "labelColor": INK, "titleColor": INK, "labelFont": _FONT, "titleFont": _FONT,
    "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
}  # fmt: skip
_CONFIG = {
    "background": "transparent",
    "font": _FONT,
    "axis": _TEXT | {"gridColor": LINE, "domainColor": FAINT, "tickColor": FAINT, "labelLimit": 130},
    "legend": _TEXT,
    "view": {"stroke": None},
}


def labels(table: Table) -> dict[str, str]:
    """Setting -> what figures call it: as its sentences do, safe to show, and unique."""
    shown = [printable(row.label) for row in table.settings]
    own = [
        f"row {row.number}" if shown.count(label) > 1 else label
        for row, label in zip(table.settings, shown, strict=True)
    ]
    return dict(zip((row.setting for row in table.settings), distinct(own, first=1), strict=True))


def distinct(names: Sequence[str], first: int = 0) -> list[str]:
    """Names that a figure can tell apart: those that come twice, or that Vega mistakes, with their place."""
    made = list(names)
    while taken := {
        name for name, count in Counter(made).items() if count > 1 or name in _JAVASCRIPTS or not name.strip()
    }:
        made = [f"{place}: {name}" if name in taken else name for place, name in enumerate(made, first)]
    return made


def colour(names: Sequence[str]) -> "alt.Color":
    """The colour of a row, by the field `row`."""
    import altair as alt

    return alt.Color("row:N").scale(domain=list(names), range=_colours(names)).legend(_legend())


def _legend() -> "alt.Legend":
    """One for colour, shape and dash alike: Vega makes one of them where they are equal."""
    import altair as alt

    return alt.Legend(
        title=None,
        orient="bottom",
        columns=2,
        labelLimit=150,
        symbolOpacity=1,
        symbolStrokeWidth=0,
        values=alt.ExprRef(SHOWN),
    )


def fill(names: Sequence[str]) -> "alt.Fill":
    """The same colour, within a shape."""
    import altair as alt

    return alt.Fill("row:N").scale(domain=list(names), range=_colours(names)).legend(_legend())


def _colours(names: Sequence[str]) -> list[str]:
    return [f"var(--row-{place % NUM_COLOURS})" for place in range(len(names))]


def dash(names: Sequence[str]) -> "alt.StrokeDash":
    """The dash of a row's line."""
    import altair as alt

    dashes = [
        list(_DASHES[(place + place // NUM_COLOURS) % len(_DASHES)])  # other dash where a colour comes again
        for place in range(len(names))
    ]
    return alt.StrokeDash("row:N").scale(domain=list(names), range=dashes).legend(_legend())


def shape(names: Sequence[str]) -> "alt.Shape":
    """The shape of a row's points."""
    import altair as alt

    shapes = [_SHAPES[place % len(_SHAPES)] for place in range(len(names))]
    return alt.Shape("row:N").scale(domain=list(names), range=shapes).legend(_legend())


def tooltip(*names: str, **numbers: str) -> "list[alt.Tooltip]":
    """What a mark says of itself: fields of text by their names, numbers with their formats."""
    import altair as alt

    texts = [alt.Tooltip(f"{name}:N") for name in names]
    return texts + [alt.Tooltip(f"{name}:Q", format=form) for name, form in numbers.items()]


def shown_rows(names: Sequence[str]) -> dict[str, list[str]]:
    """The signal of the rows that are drawn: at first those that the page's table shows first."""
    return {SHOWN: list(names[:MOST_SHOWN])}


def only_shown(field: str = "row") -> str:
    """The expression of a filter."""
    return f"indexof({SHOWN}, datum.{field}) >= 0"


@contextmanager
def unchecked() -> Iterator[None]:
    """Lets Altair make specifications without holding each piece of them against its schema.

    That is two thirds of a page's time; the tests do it instead.
    """
    from altair.utils.schemapi import debug_mode

    with debug_mode(arg=False):
        yield


def finished(
    chart: Any, *, height: int, params: Mapping[str, Any] | None = None, about: str
) -> dict[str, Any]:
    """The specification of a chart, in the page's own style.

    Args:
        chart: Altair's.
        height: in pixels.
        params: names and first values of the signals that the page sets.
        about: for those who hear it.
    """
    # Put in as plain values: each of Altair's methods would copy all layers anew.
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec |= {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": about,
        "params": [{"name": name, "value": value} for name, value in (params or {}).items()],
        "config": _CONFIG,
    }
    return spec
