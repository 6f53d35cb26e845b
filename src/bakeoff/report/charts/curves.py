"""Learning curves, with the range over the seeds."""

from collections.abc import Sequence
from typing import Any

from bakeoff.report.charts import theme
from bakeoff.report.charts.figure import DATA, Figure, Variant
from bakeoff.report.learning import PROGRESS, SCORES, Point


def curve_figure(points: Sequence[Point], names: dict[int, str]) -> Figure | None:
    """Scores by epochs, images and seconds.

    Args:
        points: of all rows.
        names: a row's number -> what figures call it.
    """
    if not points:
        return None
    rows = [
        [
            names[one.number],
            one.score,
            one.epoch,
            one.images,
            one.seconds,
            one.mean,
            one.low,
            one.high,
            one.num_runs,
        ]
        for one in points
    ]
    order = list(names.values())
    there = {point.score for point in points}
    return Figure(
        key="curves",
        title="Learning curves",
        about="Line: mean over the seeds. Band: from the lowest to the highest seed. Validation images chose "
        "the weights; training losses are each model's own and are not comparable between models.",
        method="curves",
        columns=("row", "score", "epoch", "images", "seconds", "mean", "low", "high", "runs"),
        rows=rows,
        variants=[
            Variant(f"{title} against {progress}", _spec(order, score, title, x, progress))
            for score, title in SCORES.items()
            if score in there
            for x, progress in PROGRESS.items()
        ],
    )


def _spec(names: Sequence[str], score: str, title: str, x: str, progress: str) -> dict[str, Any]:
    import altair as alt

    base = (
        alt.Chart(alt.NamedData(DATA))
        .transform_filter(f"datum.score === '{score}'")
        .transform_filter(f"isValid(datum.{x})")
        .transform_filter(theme.only_shown())
    )
    across = (
        alt.X(f"{x}:Q").title(progress).scale(zero=x != "epoch", nice=False).axis(format="~s", tickMinStep=1)
    )
    if x == "epoch":  # there is no epoch 1.5
        whole = alt.condition("datum.value % 1", alt.value(0), alt.value(1))
        across = across.axis(
            format="~s",
            tickMinStep=1,
            labelExpr="datum.value % 1 ? '' : datum.label",
            gridOpacity=whole,
            tickOpacity=whole,
        )
    form = ".2~%" if score == "val.accuracy" else "~g"
    up = alt.Y("mean:Q").title(title).scale(zero=False).axis(format=form)
    colour = theme.colour(names)
    band = base.mark_area(opacity=0.18).encode(
        x=across, y=alt.Y("low:Q").title(title).scale(zero=False), y2="high:Q", color=colour
    )
    line = base.mark_line(strokeWidth=2).encode(x=across, y=up, color=colour, strokeDash=theme.dash(names))
    points = base.mark_point(size=45, filled=True).encode(
        x=across,
        y=up,
        color=colour,
        shape=theme.shape(names),
        tooltip=theme.tooltip("row", epoch="d", seconds=".4~g", mean=".4~g", low=".4~g", high=".4~g"),
    )
    return theme.finished(
        alt.layer(band, line, points),
        height=320,
        params=theme.shown_rows(names),
        about=f"{title} against {progress}, a line for each row",
    )
