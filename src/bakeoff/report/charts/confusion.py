"""What rows take for what: confusion matrices, and the difference of two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.report.charts import theme
from bakeoff.report.charts.figure import DATA, Choice, Figure, Variant
from bakeoff.report.evidence import Evidence
from bakeoff.text import cut, printable

if TYPE_CHECKING:
    import altair as alt

NO_PREDICTION = "no prediction"
_MOST_CLASSES = 40  # in one drawing; of more, those with most mistakes
_MOST_NUMBERS = 15  # classes, above which cells have no room for numbers
_LONGEST_CLASS = 24  # characters
_SHORT = 2  # characters that have room below a column without being turned
_COLUMNS = ("row", "true", "predicted", "images", "share")


def class_labels(names: Sequence[str]) -> list[str]:
    """Names of classes as figures show them: safe, short and unique."""
    short = [cut(printable(name), _LONGEST_CLASS) for name in names]
    *own, _ = theme.distinct([*short, NO_PREDICTION])
    return own


def shown_classes(evidence: Evidence) -> list[int]:
    """All classes that have test images; of very many those with the largest share of mistakes."""
    images, right = np.sum([row.totals() for row in evidence.rows], axis=0)
    there = np.flatnonzero(images > 0)
    if len(there) > _MOST_CLASSES:
        wrong = 1 - right[there] / images[there]
        there = np.sort(there[np.argsort(-wrong, kind="stable")[:_MOST_CLASSES]])
    return [int(label) for label in there]


def confusion_figures(evidence: Evidence, names: dict[str, str]) -> list[Figure]:
    """Of one row, and of two rows the difference."""
    classes, chosen = class_labels(evidence.class_names), shown_classes(evidence)
    cells = _cells(evidence, names, classes, chosen)
    order = [classes[label] for label in chosen]
    shown = [names[row.row.setting] for row in evidence.rows]
    options = [(name, name) for name in shown]
    left_out = ""
    if len(chosen) < len(classes):
        left_out = f" Shown: the {len(chosen)} of {len(classes)} classes with the largest share of mistakes."
    one = Figure(
        key="confusion",
        title="Confusion matrix",
        about="Each line is a true class: the share of its test images that was predicted as each class, and "
        f"how many images that are (mean over the seeds). A darker cell is a larger share.{left_out}",
        method="confusion",
        columns=_COLUMNS,
        rows=cells,
        variants=[Variant("share", _confusion_spec(order, shown[0]))],
        choices=[Choice("one", "Row", options, shown[0])],
    )
    if len(shown) == 1:
        return [one]
    other = Figure(
        key="difference",
        title="Difference of two confusion matrices",
        about="The first row's share minus the second's, in points. On the diagonal, more is better for the "
        f"first; elsewhere, more is a mistake that the first makes more often.{left_out}",
        method="confusion",
        columns=_COLUMNS,
        rows=cells,
        variants=[Variant("difference", _difference_spec(order, shown[0], shown[1]))],
        choices=[Choice("one", "Row", options, shown[0]), Choice("two", "minus", options, shown[1])],
    )
    return [one, other]


def _cells(
    evidence: Evidence, names: dict[str, str], classes: Sequence[str], chosen: Sequence[int]
) -> list[list[Any]]:
    """What is not 0: most cells of a good model are."""
    guesses = [*classes, NO_PREDICTION]
    columns = [*chosen, len(classes)]
    return [
        [names[row.row.setting], classes[label], guesses[column], count / row.num_runs, count / total]
        for row in evidence.rows
        for label, counts in zip(chosen, row.counts(chosen), strict=True)
        if (total := int(counts.sum()))
        for column in columns
        if (count := int(counts[column]))
    ]


def _axes(order: Sequence[str]) -> "tuple[alt.X, alt.Y]":
    import altair as alt

    angle = 0 if max(map(len, order)) <= _SHORT else -90
    across = alt.X("predicted:N").sort([*order, NO_PREDICTION]).title("predicted class")
    return across.axis(labelAngle=angle), alt.Y("true:N").sort(list(order)).title("true class")


def _confusion_spec(order: Sequence[str], first: str) -> dict[str, Any]:
    import altair as alt

    across, down = _axes(order)
    base = alt.Chart(alt.NamedData(DATA)).transform_filter("datum.row === one")
    # A root makes single mistakes visible beside thousands of right answers.
    strength = alt.Opacity("share:Q").scale(type="sqrt", domain=[0, 1], range=[0.04, 1]).legend(None)
    told = theme.tooltip("true", "predicted", images=",.1~f", share=".2%")
    layers = [base.mark_rect(color=theme.HEAT).encode(x=across, y=down, opacity=strength, tooltip=told)]
    if len(order) <= _MOST_NUMBERS:
        # A mean over seeds may be a part of an image.
        text = "datum.images < 10 ? format(datum.images, '.1~f') : format(datum.images, '.0f')"
        colour = alt.condition("datum.share > 0.25", alt.value(theme.PAPER), alt.value(theme.INK))
        numbers = base.transform_calculate(text=text).mark_text(fontSize=11)
        layers.append(numbers.encode(x=across, y=down, text="text:N", color=colour))
    return theme.finished(
        alt.layer(*layers),
        height=_side(order),
        params={"one": first},
        about="confusion matrix of one row",
    )


def _difference_spec(order: Sequence[str], first: str, second: str) -> dict[str, Any]:
    import altair as alt

    across, down = _axes(order)
    signed = "one === two ? 0 : (datum.row === one ? 100 : -100) * datum.share"
    base = (
        alt.Chart(alt.NamedData(DATA))
        .transform_filter("datum.row === one || datum.row === two")
        # Vega takes "a|b" and "c" for the same group as "a" and "b|c", but for a length.
        .transform_calculate(signed=signed, length="length(datum.true)")
        .transform_aggregate(points="sum(signed)", groupby=["true", "predicted", "length"])
        .transform_calculate(size="abs(datum.points)")
    )
    colour = alt.condition("datum.points > 0", alt.value(theme.HEAT), alt.value(theme.LOSS))
    strength = alt.Opacity("size:Q").scale(type="sqrt", domain=[0, 100], range=[0.03, 1]).legend(None)
    told = theme.tooltip("true", "predicted", points="+.2f")
    layers = [base.mark_rect().encode(x=across, y=down, color=colour, opacity=strength, tooltip=told)]
    if len(order) <= _MOST_NUMBERS:
        ink = alt.condition("datum.size > 30", alt.value(theme.PAPER), alt.value(theme.INK))
        numbers = base.transform_filter("datum.size >= 0.5").mark_text(fontSize=11)
        layers.append(numbers.encode(x=across, y=down, text=alt.Text("points:Q", format="+.0f"), color=ink))
    return theme.finished(
        alt.layer(*layers),
        height=_side(order),
        params={"one": first, "two": second},
        about="difference of two confusion matrices",
    )


def _side(order: Sequence[str]) -> int:
    """Pixels: about a square, and room for each name."""
    return max(220, min(560, 32 * len(order) + 60))
