"""Pictures of a finished run (PNG): learning curves, confusion matrix, worst mistakes, calibration.

Figures are made without pyplot, so no display and no global state; lines differ in dash as well as
in colour, so that they read in grey print.
"""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.evaluation.metrics import ECE_BINS, answers, calibration_bins
from bakeoff.runs.records import EpochRecord
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.storage import write_atomically
from bakeoff.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bakeoff.data.splits import Split
    from bakeoff.evaluation.prediction import Predictions

_DPI = 120
_LONGEST_NAME = 14  # characters
_NUM_MISTAKES = 25
_MOST_CELLS_WITH_NUMBERS = 20  # classes; above that the numbers would not be readable
_DARK, _LIGHT = "#1b3a57", "#c8553d"


def pictures(
    title: str,
    epochs: Sequence[EpochRecord],
    counts: np.ndarray,
    class_names: Sequence[str],
    test: "Split",
    predictions: "Predictions",
    files: Sequence[str] | None,
) -> dict[str, Callable[[], "Figure"]]:
    """The pictures of a run: file name -> what draws it. `files` names the images of a folder of pictures."""
    return {
        "curves.png": lambda: learning_curves(epochs, title),
        "confusion.png": lambda: confusion_matrix(counts, class_names, title),
        "mistakes.png": lambda: worst_mistakes(test, predictions, class_names, title, files),
        "reliability.png": lambda: reliability_diagram(predictions, title),
    }


def learning_curves(epochs: Sequence[EpochRecord], title: str) -> "Figure":
    """Losses and validation accuracy by epoch."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = new_figure(9, 3.6)
    losses, accuracies = figure.subplots(1, 2)
    numbers = [record.epoch for record in epochs]
    losses.plot(numbers, [r.train_loss for r in epochs], "o-", color=_DARK, label="training loss")
    judged = [(r.epoch, r.val) for r in epochs if r.val is not None]
    if judged:
        at = [epoch for epoch, _ in judged]
        losses.plot(at, [val.nll for _, val in judged], "s--", color=_LIGHT, label="validation NLL")
        accuracies.plot(
            at, [val.accuracy for _, val in judged], "s--", color=_LIGHT, label="validation accuracy"
        )
        accuracies.plot(
            at, [val.macro_f1 for _, val in judged], "^:", color=_DARK, label="validation macro-F1"
        )
        accuracies.yaxis.set_major_formatter(PercentFormatter(1.0))
        accuracies.legend(frameon=False)
    else:
        accuracies.text(0.5, 0.5, "no validation images", ha="center", transform=accuracies.transAxes)
    losses.set_ylabel("loss (nats)")
    losses.legend(frameon=False)
    for axes in (losses, accuracies):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], title: str) -> "Figure":
    """Test images by true (rows) and predicted class (columns); shaded by share of the row."""
    columns = list(class_names)
    if counts[:, -1].any():
        columns.append("no prediction")
    shown = counts[:, : len(columns)]
    shares = shown / np.maximum(shown.sum(axis=1, keepdims=True), 1)
    size = min(14.0, max(4.5, 0.5 * len(columns) + 1.5))
    figure = new_figure(size, size)
    axes = figure.subplots()
    # A root makes single mistakes visible beside thousands of right answers.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    if len(class_names) <= _MOST_CELLS_WITH_NUMBERS:
        for row, column in np.argwhere(shown > 0):
            dark = shares[row, column] > 0.3
            text = str(shown[row, column])
            axes.text(
                column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black"
            )
    size_points = 10 if len(columns) <= 30 else 5
    turned = 90 if max(map(len, columns)) > 2 else 0
    axes.set_xticks(range(len(columns)), map(short, columns), rotation=turned, fontsize=size_points)
    axes.set_yticks(range(len(class_names)), map(short, class_names), fontsize=size_points)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"{title}\n{int(counts.sum()):,} test images", fontsize=10)
    return figure


def worst_mistakes(
    test: "Split",
    predictions: "Predictions",
    class_names: Sequence[str],
    title: str,
    files: Sequence[str] | None = None,
) -> "Figure":
    """The test images that were predicted wrongly with the most confidence."""
    import torch

    guesses = answers(predictions.probabilities)
    wrong = np.flatnonzero(guesses != predictions.label)
    confidence = predictions.probabilities.max(axis=1)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:_NUM_MISTAKES]
    figure = new_figure(8, 9)
    figure.suptitle(
        f"{title}\n{len(wrong):,} of {len(guesses):,} test images wrong; the most confident mistakes"
    )
    if len(chosen) == 0:
        figure.text(0.5, 0.5, "no mistakes", ha="center")
        return figure
    pixels = test.images(torch.from_numpy(chosen).to(test.device)).cpu().numpy()
    names = [*class_names, "no prediction"]
    for axes, image, index in zip(figure.subplots(5, 5).flat, pixels, chosen, strict=False):
        show_image(axes, image)
        name = short(files[index].rpartition("/")[2]) if files else f"image {index}"
        true, predicted = short(names[predictions.label[index]]), short(names[guesses[index]])
        axes.set_title(f"true {true}, predicted {predicted}\n{confidence[index]:.1%}, {name}", fontsize=7)
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def reliability_diagram(predictions: "Predictions", title: str) -> "Figure":
    """Accuracy against confidence in the bins of the ECE, and how many images each bin holds."""
    from matplotlib.ticker import PercentFormatter

    bins = calibration_bins(predictions.label, predictions.probabilities)
    ece = np.abs(bins.num_right - bins.confidence).sum() / bins.num_images.sum()
    filled = bins.num_images > 0
    edges = np.arange(ECE_BINS) / ECE_BINS
    figure = new_figure(5.5, 6)
    rates, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    accuracy = bins.num_right[filled] / bins.num_images[filled]
    confidence = bins.confidence[filled] / bins.num_images[filled]
    rates.bar(
        edges[filled],
        accuracy,
        1 / ECE_BINS,
        align="edge",
        color="#b9cbdc",
        edgecolor=_DARK,
        label="accuracy",
    )
    rates.plot(confidence, accuracy, "o", color=_DARK, label="at the mean confidence")
    rates.plot([0, 1], [0, 1], "--", color=_LIGHT, label="perfect calibration")
    rates.set_ylabel("accuracy")
    rates.set_ylim(0, 1.02)
    rates.yaxis.set_major_formatter(PercentFormatter(1.0))
    # Above the axes: bars may fill any corner.
    rates.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=8)
    counts.bar(edges, bins.num_images, 1 / ECE_BINS, align="edge", color="#b9cbdc", edgecolor=_DARK)
    counts.set_yscale("symlog", linthresh=10)
    counts.set_ylabel("images")
    counts.set_xlabel("confidence (probability of the predicted class)")
    counts.set_xlim(0, 1)
    counts.xaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (rates, counts):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    num_images = int(bins.num_images.sum())
    figure.suptitle(f"{title}\nexpected calibration error {ece:.2%}, {num_images:,} test images", fontsize=10)
    return figure


def short(text: str) -> str:
    """A class or a file's name that leaves room for the rest of a line, is no formula, and can be drawn."""
    text = printable(text)
    text = text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
    return text.replace("$", r"\$")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(run: RunDir, figure: Any, *names: str) -> None:
    """Writes a figure into the run's folder of pictures, under one name or several."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    for name in names:
        write_atomically(run.plot_file(name), lambda file: file.write(content.getvalue()))


def figure_of_images(
    pixels: np.ndarray, columns: int, row_names: Sequence[str], column_names: Sequence[str], title: str
) -> "Figure":
    """A grid of images.

    Args:
        pixels: uint8 [rows * columns, c, h, w], row by row.
        columns: images in a row.
        row_names: shown at the left.
        column_names: shown above the first row.
        title: above all.
    """
    rows = len(pixels) // columns
    figure = new_figure(1.1 * columns + 0.6, 1.1 * rows + 0.8)
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, image in enumerate(pixels):
        row, column = divmod(place, columns)
        axes = grid[row, column]
        show_image(axes, image)
        axes.set(xticks=[], yticks=[])
        if column == 0:
            axes.set_ylabel(short(row_names[row]), fontsize=8)
        if row == 0:
            axes.set_title(column_names[column], fontsize=8)
    return figure


def show_image(axes: Any, image: np.ndarray) -> None:
    """Draws an image uint8 [c, h, w]."""
    axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=255)
