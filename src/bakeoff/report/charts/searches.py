"""Figures of searches: fewer trials, the history, which keys mattered, all trials at once."""

from collections.abc import Sequence
from typing import Any

from bakeoff.report.charts import theme
from bakeoff.report.charts.figure import DATA, Figure, Variant

_SHARES = ("val.accuracy", "val.macro_f1")
_BAR_PIXELS = 26
FINISHED, PRUNED, FAILED = "finished", "stopped early", "failed"
TRIAL, END = "trial", "end"  # rows of the parallel coordinates: a trial's point, and what an axis ends with


def _format(metric: str) -> str:
    return ".2~%" if metric in _SHARES else "~g"


def tuning_figure(rows: Sequence[Sequence[Any]], metrics: Sequence[str], names: Sequence[str]) -> Figure:
    """The expected best value against the number of trials, a line for each study.

    Args:
        rows: study, metric, trials, value, low, high.
        metrics: that there are.
        names: of the studies.
    """
    return Figure(
        key="tuning",
        title="Fair tuning: what fewer trials would have found",
        about="Line: the best value on the validation images that so many trials find on average. Band: 95 % "
        "interval, where there are four times as many trials. Compare studies at the same number of trials.",
        method="tuning",
        columns=("row", "metric", "trials", "value", "low", "high"),
        rows=rows,
        variants=[Variant(metric, _tuning_spec(rows, metric, names)) for metric in metrics],
    )


def _tuning_spec(rows: Sequence[Sequence[Any]], metric: str, names: Sequence[str]) -> dict[str, Any]:
    import altair as alt

    base = (
        alt.Chart(alt.NamedData(DATA))
        .transform_filter(alt.FieldEqualPredicate(field="metric", equal=metric))
        .transform_filter(theme.only_shown())
    )
    across = alt.X("trials:Q").title("trials").scale(nice=False).axis(format="d", tickMinStep=1)
    up = alt.Y("value:Q").title(f"expected best {metric}").scale(zero=False).axis(format=_format(metric))
    colour = theme.colour(names)
    told = theme.tooltip("row", trials="d", value=".4~g", low=".4~g", high=".4~g")
    layers = []
    if any(row[1] == metric and row[4] is not None for row in rows):
        band = base.transform_filter("isValid(datum.low)").mark_area(opacity=0.18)
        layers.append(band.encode(x=across, y=alt.Y("low:Q"), y2="high:Q", color=colour))
    layers.append(
        base.mark_line(strokeWidth=2).encode(x=across, y=up, color=colour, strokeDash=theme.dash(names))
    )
    layers.append(
        base.mark_point(size=30, filled=True).encode(
            x=across, y=up, color=colour, shape=theme.shape(names), tooltip=told
        )
    )
    return theme.finished(
        alt.layer(*layers),
        height=300,
        params=theme.shown_rows(names),
        about=f"expected best {metric} against the number of trials, a line for each study",
    )


def history_figure(rows: Sequence[Sequence[Any]], metric: str) -> Figure:
    """The value of each trial, and the best so far.

    Args:
        rows: trial, value, best so far (None before there is one), state, what was tried.
        metric: of the values.
    """
    return Figure(
        key="history",
        title="History",
        about="Dot: a trial that has finished. Triangle: one that was stopped early, with the best it had "
        "reached. Cross: one without a value, drawn at the worst. Line: the best so far.",
        method="history",
        columns=("trial", "value", "best", "state", "tried"),
        rows=rows,
        variants=[Variant(metric, _history_spec(rows, metric))],
    )


def _history_spec(rows: Sequence[Sequence[Any]], metric: str) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(alt.NamedData(DATA))
    across = alt.X("trial:Q").title("trial").scale(nice=False).axis(format="d", tickMinStep=1)
    up = alt.Y("value:Q").title(metric).scale(zero=False).axis(format=_format(metric))
    told = theme.tooltip("tried", "state", trial="d", value=".4~g", best=".4~g")
    there = {row[3] for row in rows}
    layers = []
    if any(row[2] is not None for row in rows):
        layers.append(
            base.transform_filter("isValid(datum.best)")
            .mark_line(interpolate="step-after", color=theme.HEAT, strokeWidth=2)
            .encode(x=across, y=alt.Y("best:Q"))
        )
    marks: dict[str, dict[str, Any]] = {
        FINISHED: {"shape": "circle", "color": theme.HEAT, "filled": True, "size": 50},
        PRUNED: {"shape": "triangle-down", "color": theme.FAINT, "filled": False, "size": 60},
        FAILED: {"shape": "cross", "color": theme.LOSS, "filled": True, "size": 60},
    }
    layers += [
        base.transform_filter(f"datum.state === '{state}'")
        .mark_point(opacity=1, **mark)
        .encode(x=across, y=up, tooltip=told)
        for state, mark in marks.items()
        if state in there
    ]
    return theme.finished(
        alt.layer(*layers), height=280, about=f"{metric} of each trial, and the best so far"
    )


def importance_figure(rows: Sequence[Sequence[Any]], explained: float, metric: str) -> Figure:
    """How much each key mattered.

    Args:
        rows: key, share.
        explained: the share of the variance that the forest explains.
        metric: that was searched for.
    """
    return Figure(
        key="importance",
        title="Which keys mattered",
        about=f"How much a forest that predicts {metric} from the keys loses when one is shuffled, as a "
        f"share of all losses. It explains {explained:.0%} of the ranks of trials that it has not seen: "
        f"{'a rough picture' if explained < _GOOD else 'a fair picture'}, of these trials alone.",
        method="importance",
        columns=("key", "share"),
        rows=rows,
        variants=[Variant("importance", _importance_spec([str(row[0]) for row in rows]))],
    )


_GOOD = 0.5


def _importance_spec(order: Sequence[str]) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(alt.NamedData(DATA))
    down = alt.Y("key:N").sort(list(order)).title(None)
    across = alt.X("share:Q").title("share of the importance").scale(domain=[0, 1]).axis(format=".0%")
    bars = base.mark_bar(color=theme.HEAT, height=14).encode(
        x=across, y=down, tooltip=theme.tooltip("key", share=".1%")
    )
    numbers = base.mark_text(align="left", dx=4, color=theme.INK, fontSize=11).encode(
        x=across, y=down, text=alt.Text("share:Q", format=".0%")
    )
    return theme.finished(
        alt.layer(bars, numbers), height=_BAR_PIXELS * len(order) + 10, about="share of each key"
    )


def parallel_figure(rows: Sequence[Sequence[Any]], axes: Sequence[str], metric: str, about: str) -> Figure:
    """All trials as lines across the keys.

    Args:
        rows: kind, trial, axis, position (0 to 1), what stands there, rank (1: the best trial).
        axes: in their order; the last one is the value.
        metric: that was searched for.
        about: which keys and trials are left out.
    """
    return Figure(
        key="parallel",
        title="All trials at once",
        about=f"A line for each trial, from key to key; at the right, its {metric}. The darker, the better; "
        f"the best one is thick. Each axis has its own ends.{about}",
        method="parallel",
        columns=("kind", "trial", "axis", "position", "shown", "rank"),
        rows=rows,
        variants=[Variant("trials", _parallel_spec(axes))],
    )


def _parallel_spec(axes: Sequence[str]) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(alt.NamedData(DATA))
    trials = base.transform_filter(f"datum.kind === '{TRIAL}'")
    across = (
        alt.X("axis:N")
        .sort(list(axes))
        .title(None)
        .scale(type="point", padding=0.5)
        .axis(labelAngle=-40, grid=True)
    )
    up = alt.Y("position:Q").title(None).scale(domain=[-0.08, 1.08], nice=False).axis(None)
    strength = alt.Opacity("rank:Q").scale(type="log", range=[0.9, 0.12]).legend(None)
    lines = trials.mark_line(color=theme.HEAT, strokeWidth=1.5).encode(
        x=across, y=up, detail="trial:N", opacity=strength
    )
    best = trials.transform_filter("datum.rank === 1").mark_line(color=theme.LOSS, strokeWidth=3)
    points = trials.mark_point(color=theme.HEAT, filled=True, size=25).encode(
        x=across, y=up, opacity=strength, tooltip=theme.tooltip("axis", "shown", trial="d", rank="d")
    )
    ends = (
        base.transform_filter(f"datum.kind === '{END}'")
        .mark_text(color=theme.INK, fontSize=11)
        .encode(x=across, y=up, text="shown:N")
    )
    chart = alt.layer(lines, best.encode(x=across, y=up, detail="trial:N"), points, ends)
    return theme.finished(chart, height=320, about="all trials as lines across the keys")
