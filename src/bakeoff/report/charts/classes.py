"""Where rows fail, and how they differ in it: recall and F1 by class, calibration, agreement."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bakeoff.evaluation.metrics import ECE_BINS
from bakeoff.report.charts import theme
from bakeoff.report.charts.confusion import class_labels, shown_classes
from bakeoff.report.charts.figure import DATA, Figure, Variant
from bakeoff.report.evidence import Evidence, RowEvidence, agreement
from bakeoff.text import counted

_FIRST_PIXELS, _ROW_PIXELS = 8, 9  # of a class, and of a row within it


def class_figure(evidence: Evidence, names: dict[str, str]) -> Figure:
    """Recall and F1 of each class, with intervals."""
    classes, chosen = class_labels(evidence.class_names), shown_classes(evidence)
    rows = [
        [names[row.row.setting], classes[one.label], one.num_images, score, mean, *(interval or (None, None))]
        for row in evidence.rows
        for one in row.classes
        if one.label in chosen
        for score, mean, interval in (
            ("recall", one.recall, one.recall_interval),
            ("F1", one.f1, one.f1_interval),
        )
    ]
    order = [classes[label] for label in chosen]
    shown = [names[row.row.setting] for row in evidence.rows]
    fewest = min((one.num_images for one in evidence.rows[0].classes), default=0)
    return Figure(
        key="classes",
        title="Recall and F1 by class",
        about="Recall: of the images of a class, the share that was found. Bar: the 95 % interval of that "
        "class alone; of many classes some miss by chance. "
        f"The smallest class has {counted(fewest, 'test image')}.",
        method="classes",
        columns=("row", "class", "images", "score", "value", "low", "high"),
        rows=rows,
        variants=[Variant(score, _class_spec(shown, order, score)) for score in ("recall", "F1")],
    )


def _class_spec(names: Sequence[str], order: Sequence[str], score: str) -> dict[str, Any]:
    import altair as alt

    base = (
        alt.Chart(alt.NamedData(DATA))
        .transform_filter(f"datum.score === '{score}'")
        .transform_filter(theme.only_shown())
    )
    down = alt.Y("class:N").sort(list(order)).title("class")
    beside = alt.YOffset("row:N").sort(list(names))
    across = alt.X("value:Q").scale(zero=False).title(score).axis(format=".2~%")
    colour = theme.colour(names)
    told = theme.tooltip("row", "class", value=".4f", low=".4f", high=".4f", images=",d")
    bars = base.mark_rule(opacity=0.6).encode(
        x=alt.X("low:Q").title(score), x2="high:Q", y=down, yOffset=beside, color=colour
    )
    dots = base.mark_point(filled=True, size=45, opacity=1).encode(
        x=across, y=down, yOffset=beside, color=colour, shape=theme.shape(names), tooltip=told
    )
    height = len(order) * (_FIRST_PIXELS + _ROW_PIXELS * min(len(names), theme.MOST_SHOWN)) + 10
    return theme.finished(
        alt.layer(bars, dots),
        height=height,
        params=theme.shown_rows(names),
        about=f"{score} of each class with its interval",
    )


def reliability_figure(evidence: Evidence, names: dict[str, str]) -> Figure:
    """Accuracy against confidence, in the bins of the ECE."""
    rows = [
        [names[row.row.setting], place + 1, float(confident / size), float(right / size), size / row.num_runs]
        for row in evidence.rows
        for place, (size, confident, right) in enumerate(zip(*row.bins, strict=True))
        if size
    ]
    shown = [names[row.row.setting] for row in evidence.rows]
    return Figure(
        key="reliability",
        title="Confidence against accuracy",
        about=f"Each point is one of {ECE_BINS} bins of predictions with about the same confidence; larger "
        "points hold more images. On the dashed line confidence and accuracy are equal: perfect calibration. "
        "Below it a model is too sure.",
        method="reliability",
        columns=("row", "bin", "confidence", "accuracy", "images"),
        rows=rows,
        variants=[Variant("reliability", _reliability_spec(shown))],
    )


def _reliability_spec(names: Sequence[str]) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(alt.NamedData(DATA)).transform_filter(theme.only_shown())
    across = (
        alt.X("confidence:Q").scale(domain=[0, 1]).title("confidence (probability of the predicted class)")
    )
    up = alt.Y("accuracy:Q").scale(domain=[0, 1]).title("accuracy")
    across, up = across.axis(format=".0%"), up.axis(format=".0%")
    ends = alt.Chart(alt.InlineData([{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}]))
    colour = theme.colour(names)
    size = alt.Size("images:Q").scale(type="sqrt", range=[20, 300]).legend(None)
    told = theme.tooltip("row", confidence=".3f", accuracy=".3f", images=",.1~f")
    chart = alt.layer(
        ends.mark_line(strokeDash=[5, 4], color=theme.FAINT, strokeWidth=1.5).encode(x=across, y=up),
        base.mark_line(strokeWidth=1.5).encode(x=across, y=up, color=colour, strokeDash=theme.dash(names)),
        base.mark_point(filled=True, opacity=1).encode(
            x=across, y=up, color=colour, shape=theme.shape(names), size=size, tooltip=told
        ),
    )
    return theme.finished(
        chart, height=380, params=theme.shown_rows(names), about="accuracy against confidence"
    )


def agreement_figure(rows: Sequence[RowEvidence], names: dict[str, str]) -> Figure | None:
    """How often two rows say the same; None for one row."""
    if len(rows) == 1:
        return None
    shares = agreement(rows)
    shown = [names[row.row.setting] for row in rows]
    cells = [
        [shown[i], shown[j], float(shares[i, j])]
        for i in range(len(rows))
        for j in range(len(rows))
        if np.isfinite(shares[i, j])
    ]
    return Figure(
        key="agreement",
        title="How often rows predict the same",
        about="The share of test images that two rows predict alike, right or wrong, mean over the pairs of "
        "their runs. On the diagonal: two seeds of the same row.",
        method="agreement",
        columns=("row", "other", "share"),
        rows=cells,
        variants=[Variant("agreement", _agreement_spec(shown, float(np.nanmin(shares))))],
    )


def _agreement_spec(names: Sequence[str], lowest: float) -> dict[str, Any]:
    import altair as alt

    base = (
        alt.Chart(alt.NamedData(DATA))
        .transform_filter(theme.only_shown())
        .transform_filter(theme.only_shown("other"))
    )
    across = alt.X("other:N").sort(list(names)).title(None).axis(labelAngle=-40)
    down = alt.Y("row:N").sort(list(names)).title(None)
    strength = alt.Opacity("share:Q").scale(domain=[lowest, 1], range=[0.08, 0.85]).legend(None)
    middle = f"datum.share > {(lowest + 1) / 2:.6f}"
    colour = alt.condition(middle, alt.value(theme.PAPER), alt.value(theme.INK))
    told = theme.tooltip("row", "other", share=".2%")
    chart = alt.layer(
        base.mark_rect(color=theme.HEAT).encode(x=across, y=down, opacity=strength, tooltip=told),
        base.mark_text(fontSize=11).encode(
            x=across, y=down, text=alt.Text("share:Q", format=".1%"), color=colour
        ),
    )
    height = max(200, min(420, 48 * min(len(names), theme.MOST_SHOWN) + 60))
    return theme.finished(chart, height=height, params=theme.shown_rows(names), about="agreement of rows")
