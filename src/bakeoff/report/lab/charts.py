"""The figures of the results, as PNG: accuracies with intervals, learning curves, a confusion matrix.

No torch here. Rows differ in dash and mark as well as in colour, so that they read in grey print and by the
colour-blind.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bakeoff.comparison.figures import MOST, is_number
from bakeoff.comparison.history import read_history
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.evaluation.metrics import confusion
from bakeoff.plots.canvas import new_figure
from bakeoff.plots.figures import confusion_matrix
from bakeoff.plots.lettering import short
from bakeoff.plots.style import own_style

_DPI = 160
MOST_ROWS, MOST_CURVES = 30, 6
_LONGEST_LABEL = 34
# Okabe and Ito (2008), without yellow, which is too light on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 3)))
_MARKS = "os^Dv*"


def accuracies(table: Table) -> bytes | None:
    """Test accuracy of each row with its interval; None where no row has one."""
    rows = [row for row in table.settings[:MOST_ROWS] if row.metrics.get("accuracy")]
    if not rows:
        return None
    with own_style():
        figure = new_figure(8, 0.36 * len(rows) + 0.9)
        axes = figure.subplots()
        for place, row in enumerate(rows):
            accuracy = row.metrics["accuracy"]
            assert accuracy is not None
            if accuracy.low is not None and accuracy.high is not None:
                ends = (accuracy.low * 100, accuracy.high * 100)
                axes.plot(ends, (place, place), "|-", color=_COLOURS[0], linewidth=1.8, markersize=9)
            each = [run.summary["test"]["accuracy"] * 100 for run in row.members]
            axes.plot(each, [place] * len(each), "o", color="white", markeredgecolor="0.4", markersize=5)
            axes.plot(accuracy.mean * 100, place, "D", color=_COLOURS[0], markersize=7)
        axes.set_yticks(range(len(rows)), [short(_label(row), _LONGEST_LABEL) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("test accuracy (%)")
        _tidy(axes)
        return _png(figure)


def curves(table: Table) -> bytes | None:
    """Validation accuracy and loss by epoch: mean over the seeds, and from the lowest to the highest."""
    rows = [(row, [read_history(run.path) for run in row.members]) for row in table.settings[:MOST_CURVES]]
    with own_style():
        figure = new_figure(9, 3.6)
        left, right = figure.subplots(1, 2)
        drawn = False
        for axes, key, factor, title in (
            (left, "val.accuracy", 100.0, "validation accuracy (%)"),
            (right, "val.nll", 1.0, "validation loss (NLL)"),
        ):
            for place, (row, histories) in enumerate(rows):
                drawn |= _curve(axes, [_series(history, key, factor) for history in histories], row, place)
            axes.set(xlabel="epoch")
            axes.set_title(title, fontsize=10)
            axes.xaxis.get_major_locator().set_params(integer=True)
            _tidy(axes)
        if not drawn:
            return None
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False, fontsize=9
        )
        return _png(figure)


def confusions(run: Run, class_names: Sequence[str], title: str) -> bytes | None:
    """The confusion matrix of one run; None where its predictions are not there."""
    if run.outcomes is None:
        return None
    num_classes = run.outcomes.num_classes
    counts = confusion(run.outcomes.labels, run.outcomes.guesses, num_classes)
    if len(class_names) != num_classes:  # the summary has lost them
        class_names = [str(number) for number in range(num_classes)]
    with own_style():
        return _png(confusion_matrix(counts, class_names, short(title, 60)))


def _label(row: SettingRow) -> str:
    return f"{row.number} {row.name}"


def _series(history: Sequence[Any], key: str, factor: float) -> dict[int, float]:
    """Epoch -> value, of those that have one."""
    return {
        epoch["epoch"]: epoch[key] * factor
        for epoch in history
        if is_number(epoch.get(key), -MOST, MOST) and type(epoch.get("epoch")) is int
    }


def _curve(axes: Any, series: Sequence[dict[int, float]], row: SettingRow, place: int) -> bool:
    """Draws a row; epochs that only some of its runs have are left out of its mean."""
    known = [values for values in series if values]
    if not known:
        return False
    epochs = sorted(set.intersection(*(set(values) for values in known)))
    if not epochs:
        return False
    values = np.array([[one[epoch] for epoch in epochs] for one in known])
    colour = _COLOURS[place]
    axes.plot(
        epochs, values.mean(axis=0), color=colour, linestyle=_DASHES[place], marker=_MARKS[place],
        linewidth=1.6, markersize=4, markevery=max(1, len(epochs) // 8),
        label=short(_label(row), _LONGEST_LABEL),
    )  # fmt: skip
    if len(known) > 1:
        axes.fill_between(
            epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0
        )
    return True


def _tidy(axes: Any) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return content.getvalue()
