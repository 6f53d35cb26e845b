"""Scores with their intervals, accuracy against cost, and the differences of pairs."""

from collections.abc import Sequence
from typing import Any

from bakeoff.comparison.figures import COST_NAMES, RUN_FIGURES, value_at
from bakeoff.comparison.front import with_front
from bakeoff.comparison.run import UNKNOWN
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.report.charts import theme
from bakeoff.report.charts.figure import DATA, ROW_PIXELS, Choice, Figure, Variant

_SCORES = {"accuracy": "test accuracy", "macro_f1": "test macro-F1", "nll": "test loss (NLL)"}
_DIFFERENCES = {
    "accuracy": "accuracy (points)",
    "macro_f1": "macro-F1 (points)",
    "nll": "test loss (NLL)",
}
_ROW_PIXELS, _PAIR_PIXELS = 26, 22
_ALL = ""  # of the list of rows: no row is called so
_MOST_NAMES = 6  # beside points: of more, names stand on one another, and the legend has them all
_MOST_PAIRS = 45  # that are drawn at once


def interval_figure(table: Table, names: dict[str, str]) -> Figure:
    """Every row's scores with their 95 % intervals, and the scores of its single runs."""
    rows: list[list[Any]] = []
    for row in table.settings:
        for score in _SCORES:
            estimate = row.metrics.get(score)
            if estimate is None:
                continue
            figures = [estimate.mean, estimate.low, estimate.high]
            rows.append([names[row.setting], score, "", *figures, row.tie_group or ""])
            for run in row.members if row.num_runs > 1 else ():
                own = value_at(run.summary, f"test.{score}")
                rows.append([names[row.setting], score, str(run.summary["seed"]), own, None, None, ""])
    order = list(names.values())
    return Figure(
        key="scores",
        title="Scores with their intervals",
        about=_about_intervals(table),
        method="intervals",
        columns=("row", "score", "seed", "value", "low", "high", "group"),
        rows=rows,
        variants=[Variant(title, _interval_spec(order, score, title)) for score, title in _SCORES.items()],
    )


def _about_intervals(table: Table) -> str:
    """One seed says nothing of others."""
    counts = {row.num_runs for row in table.settings}
    if counts == {1}:
        return (
            "Dot: the score of the one run. Bar: the 95 % interval, which covers other test images; other "
            "seeds may be outside."
        )
    also = "; for a row with one seed, only other test images" if 1 in counts else ""
    return (
        "Dot: mean over the seeds. Bar: the 95 % interval, which covers other seeds and other test images"
        f"{also}. Small ticks: the single runs."
    )


def _interval_spec(order: Sequence[str], score: str, title: str) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(alt.NamedData(DATA)).transform_filter(f"datum.score === '{score}'")
    y = alt.Y("row:N").sort(list(order)).title(None)
    form = "~f" if score == "nll" else ".2~%"
    x = alt.X("value:Q").scale(zero=False).title(title).axis(format=form)
    means = base.transform_filter("datum.seed === ''")
    bars = means.transform_calculate(value="datum.low").mark_rule(
        strokeWidth=3, color=theme.HEAT, opacity=0.55
    )
    ticks = base.transform_filter("datum.seed !== ''").mark_tick(
        color=theme.INK, thickness=1.5, height=12, opacity=0.7
    )
    dots = means.mark_point(filled=True, size=90, color=theme.HEAT, opacity=1)
    told = theme.tooltip("row", "group", value=".4f", low=".4f", high=".4f")
    chart = alt.layer(
        bars.encode(x=x, x2="high:Q", y=y),
        ticks.encode(x=x, y=y, tooltip=theme.tooltip("row", "seed", value=".4f")),
        dots.encode(x=x, y=y, tooltip=told),
    )
    return theme.finished(
        chart, height=_ROW_PIXELS * len(order) + 10, about=f"{title} of each row with its interval"
    )


def cost_figure(table: Table, names: dict[str, str]) -> Figure | None:
    """Accuracy against each cost that was measured, with the best trade-offs."""
    rows: list[list[Any]] = []
    variants = []
    for name in COST_NAMES.values():
        measured = [row for row in table.settings if row.mean(name) is not None]
        if not measured:
            continue
        with_marks = with_front(table, name)
        for row in with_marks.settings:
            found = _cost_row(row, names[row.setting], name)
            if found:
                rows.append(found)
        is_log = all((row.mean(name) or 0) > 0 for row in measured)
        spec = _cost_spec(list(names.values()), name, is_log=is_log)
        variants.append(Variant(_title(name), spec, with_marks.verdict[-1]))
    if not variants:
        return None
    return Figure(
        key="cost",
        title="Accuracy against cost",
        about="Up is more accurate, left is cheaper. Filled: a best trade-off.",
        method="front",
        columns=("row", "cost", "value", "accuracy", "low", "high", "front"),
        rows=rows,
        variants=variants,
    )


def _title(cost: str) -> str:
    """With its unit."""
    return "training time (s)" if cost == "train_seconds" else RUN_FIGURES[cost].title


def _cost_row(row: SettingRow, label: str, name: str) -> list[Any] | None:
    cost, accuracy = row.metrics.get(name), row.metrics.get("accuracy")
    if cost is None or accuracy is None:
        return None
    front = UNKNOWN if row.on_front is None else "best trade-off" if row.on_front else "no"
    return [
        label,
        name,
        cost.mean * RUN_FIGURES[name].factor,
        accuracy.mean,
        accuracy.low,
        accuracy.high,
        front,
    ]


def _cost_spec(names: Sequence[str], cost: str, *, is_log: bool) -> dict[str, Any]:
    import altair as alt

    title = _title(cost)
    base = (
        alt.Chart(alt.NamedData(DATA))
        .transform_filter(f"datum.cost === '{cost}'")
        .transform_filter(theme.only_shown())
    )
    told = "datum.value < 1 ? format(datum.value, '~g') : format(datum.value, '~s')"
    x = alt.X("value:Q").axis(
        labelExpr=told, grid=False, tickCount=5, labelOverlap="greedy", labelSeparation=8
    )
    x = x.scale(type="log").title(f"{title} (logarithmic)") if is_log else x.title(title)
    y = alt.Y("accuracy:Q").scale(zero=False).title("test accuracy").axis(format=".2~%")
    colour = theme.colour(names)
    ends = alt.Y("low:Q").scale(zero=False).title("test accuracy")
    rules = base.mark_rule(opacity=0.6).encode(x=x, y=ends, y2="high:Q", color=colour)
    points = base.mark_point(size=120, strokeWidth=2).encode(
        x=x,
        y=y,
        color=colour,
        shape=theme.shape(names),
        fillOpacity=alt.condition("datum.front === 'best trade-off'", alt.value(1), alt.value(0)),
        fill=theme.fill(names),
        tooltip=theme.tooltip("row", "front", value=",.6~g", accuracy=".4f"),
    )
    layers = [rules, points]
    if len(names) <= _MOST_NAMES:
        text = base.mark_text(dy=-14, color=theme.INK, fontSize=12)
        layers.append(text.encode(x=x, y=y, text="row:N"))
    return theme.finished(
        alt.layer(*layers),
        height=320,
        params=theme.shown_rows(names),
        about=f"accuracy against {title}",
    )


def pair_figure(table: Table, names: dict[str, str]) -> Figure | None:
    """The tested differences with their intervals, as a forest plot."""
    if not table.pairs:
        return None
    rows = []
    sides = list(dict.fromkeys((pair.a, pair.b) for pair in table.pairs))
    told = theme.distinct([f"{names[a]} − {names[b]}" for a, b in sides], first=1)
    called = dict(zip(sides, told, strict=True))
    for pair in table.pairs:
        verdict = "proven" if pair.differs else "no proven difference"
        result = pair.result
        factor = 1.0 if pair.metric == "nll" else 100.0
        figures = [result.difference * factor, result.low * factor, result.high * factor]
        a, b = names[pair.a], names[pair.b]
        rows.append([called[pair.a, pair.b], a, b, pair.metric, *figures, result.p, pair.p_adjusted, verdict])
    num_pairs = sum(pair.metric == "accuracy" for pair in table.pairs)
    order = list(names.values())
    reference = names[table.reference] if table.reference in names else order[0]
    options = [(name, name) for name in order]
    if num_pairs <= _MOST_PAIRS:
        options.insert(0, (_ALL, "all pairs"))
    start = _ALL if num_pairs <= len(order) or num_pairs <= 10 else reference
    return Figure(
        key="pairs",
        title="Differences between rows",
        about="Each line is a pair: the first minus the second, with its 95 % interval. Filled: a proven "
        f"difference, once all {num_pairs} pairs are counted. An interval that holds 0 does not mean that "
        "two are equal.",
        method="pairs",
        columns=("pair", "a", "b", "score", "difference", "low", "high", "p", "p_adjusted", "verdict"),
        rows=rows,
        variants=[Variant(title, _pair_spec(score, title, start)) for score, title in _DIFFERENCES.items()],
        choices=[Choice("against", "Pairs with", options, start)],
    )


def _pair_spec(score: str, title: str, start: str) -> dict[str, Any]:
    import altair as alt

    everything = alt.Chart(alt.NamedData(DATA))
    base = everything.transform_filter(f"datum.score === '{score}'").transform_filter(
        f"against === '{_ALL}' || datum.a === against || datum.b === against"
    )
    y = alt.Y("pair:N").sort(field="difference", order="descending").title(None)
    y = y.axis(labelLimit=190)
    proven = "datum.verdict === 'proven'"
    colour = alt.condition(proven, alt.value(theme.HEAT), alt.value(theme.FAINT))
    inside = alt.condition(proven, alt.value(theme.HEAT), alt.value(theme.PAPER))
    told = theme.tooltip("pair", "verdict", **dict.fromkeys(("difference", "low", "high", "p"), ".4~g"))
    across = f"difference in {title}"
    zero = everything.transform_aggregate(count="count()").transform_calculate(zero="0")
    chart = alt.layer(
        zero.mark_rule(color=theme.INK, strokeDash=[3, 3]).encode(x=alt.X("zero:Q").title(across)),
        base.mark_rule(strokeWidth=2.5).encode(x="low:Q", x2="high:Q", y=y, color=colour),
        base.mark_point(size=80, strokeWidth=2, shape="square").encode(
            x=alt.X("difference:Q").title(across),
            y=y,
            color=colour,
            fill=inside,
            tooltip=told,
        ),
    )
    about = f"differences in {title} of pairs of rows, with intervals"
    spec = theme.finished(chart, height=_PAIR_PIXELS * _MOST_PAIRS, params={"against": start}, about=about)
    return spec | {"usermeta": {ROW_PIXELS: _PAIR_PIXELS}}
