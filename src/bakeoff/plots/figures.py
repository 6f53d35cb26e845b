"""Pictures of a finished run (PNG): learning curves, confusion matrix, worst mistakes, calibration.

Lines differ in dash as well as in colour, so that they read in grey print.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.evaluation.metrics import ECE_BINS, answers, calibration_bins
from bakeoff.plots.canvas import INCHES_ABOVE_AN_IMAGE, hide_axes, new_figure, show_image
from bakeoff.plots.lettering import drawable, fitted, short, short_names
from bakeoff.runs.records import EpochRecord
from bakeoff.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bakeoff.data.splits import Split
    from bakeoff.evaluation.prediction import Predictions

_LONGEST_ON_AXES = 20  # characters
_MOST_NAMES_ON_AXES = 60
_NUM_MISTAKES, _MISTAKES_IN_A_ROW = 25, 5
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
    chosen: int,
) -> dict[str, Callable[[], "Figure"]]:
    """The pictures of a run: file name -> what draws it.

    `files` names the images of a folder of pictures; `chosen` is the epoch whose weights were tested.
    """
    return {
        "curves.png": lambda: learning_curves(epochs, drawable(title), chosen),
        "confusion.png": lambda: confusion_matrix(counts, class_names, drawable(title)),
        "mistakes.png": lambda: worst_mistakes(test, predictions, class_names, drawable(title), files),
        "reliability.png": lambda: reliability_diagram(predictions, drawable(title)),
    }


def learning_curves(epochs: Sequence[EpochRecord], title: str, chosen: int) -> "Figure":
    """Training loss, validation loss and validation scores by epoch, each in a panel of its own.

    The two losses are different quantities: what a family minimises, and the NLL.

    Args:
        epochs: the history.
        title: above all.
        chosen: the epoch whose weights were tested.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = new_figure(12, 3.6)
    training, losses, scores = figure.subplots(1, 3)
    training.plot([r.epoch for r in epochs], [r.train_loss for r in epochs], "o-", color=_DARK)
    training.set_title("training loss: what the model minimises", fontsize=10)
    losses.set_title("validation loss (NLL, nats)", fontsize=10)
    scores.set_title("validation scores", fontsize=10)
    judged = [(r.epoch, r.val) for r in epochs if r.val is not None]
    if judged:
        at = [epoch for epoch, _ in judged]
        losses.plot(at, [val.nll for _, val in judged], "s--", color=_LIGHT)
        scores.plot(at, [val.accuracy for _, val in judged], "s--", color=_LIGHT, label="accuracy")
        scores.plot(at, [val.macro_f1 for _, val in judged], "^:", color=_DARK, label="macro-F1")
        low, high = scores.get_ylim()
        # The margin shows no share that there is not.
        scores.set_ylim(max(0.0, low), min(1.0, high))
        for line in scores.lines:
            line.set_clip_on(False)  # points at the edge are whole
        scores.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        scores.legend(frameon=False)
    for axes in (training, losses, scores):
        if not axes.lines:
            axes.text(0.5, 0.5, "no validation images", ha="center", transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])
            continue
        axes.axvline(chosen, color="0.5", linestyle=(0, (1, 2)), linewidth=1.5, zorder=0)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        # A little more than the points need, and no empty epochs after the last.
        edge = 0.5 if len(epochs) == 1 else 0.03 * (epochs[-1].epoch - epochs[0].epoch)
        axes.set_xlim(epochs[0].epoch - edge, epochs[-1].epoch + edge)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\ndotted line: epoch {chosen}, whose weights were tested")
    return figure


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], title: str) -> "Figure":
    """Test images by true (rows) and predicted class (columns); shaded by share of the row.

    Of many classes only some are named, which the title says.
    """
    names = short_names(class_names, _LONGEST_ON_AXES)
    columns = [*names, "no prediction"] if counts[:, -1].any() else names
    shown = counts[:, : len(columns)]
    shares = shown / np.maximum(shown.sum(axis=1, keepdims=True), 1)
    size = min(14.0, max(4.5, 0.5 * len(columns) + 1.5))
    figure = new_figure(size, size)
    axes = figure.subplots()
    # A root makes single mistakes visible beside thousands of right answers.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    if len(class_names) <= _MOST_CELLS_WITH_NUMBERS:
        for row, column in np.argwhere(shown > 0):
            dark = shares[row, column] > 0.3
            text = str(shown[row, column])
            axes.text(
                column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black"
            )
    step = -(-len(names) // _MOST_NAMES_ON_AXES)
    named = range(0, len(names), step)
    across = [*named, *range(len(names), len(columns))]
    if len(names) in across and step > 1 and len(names) - named[-1] < step:
        across.remove(named[-1])  # it would stand in the same place as "no prediction"
    size_points = 10 if len(columns) <= 30 else 7
    turned = 90 if max(map(len, columns)) > 2 else 0
    axes.set_xticks(across, [columns[place] for place in across], rotation=turned, fontsize=size_points)
    axes.set_yticks(named, [names[place] for place in named], fontsize=size_points)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    left_out = f"; {len(names):,} classes, one in {step} is named" if step > 1 else ""
    axes.set_title(f"{title}\n{int(counts.sum()):,} test images{left_out}", fontsize=10)
    return figure


def most_confident_mistakes(predictions: "Predictions", count: int) -> np.ndarray:
    """Positions int64 of at most so many wrongly predicted images, the highest confidence first."""
    wrong = np.flatnonzero(answers(predictions.probabilities) != predictions.label)
    confidence = predictions.probabilities.max(axis=1)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:count]


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
    chosen = most_confident_mistakes(predictions, _NUM_MISTAKES)
    rows = max(1, -(-len(chosen) // _MISTAKES_IN_A_ROW))
    figure = new_figure(8.5, 2.0 * rows + 0.9)
    figure.suptitle(
        f"{title}\n{len(wrong):,} of {len(guesses):,} test images are wrong; below, those predicted with "
        "the highest probability (%)",
        fontsize=10,
    )
    if len(chosen) == 0:
        figure.text(0.5, 0.5, "no mistakes", ha="center")
        return figure
    pixels = test.images(torch.from_numpy(chosen).to(test.device)).cpu().numpy()
    names = [*short_names(class_names), "no prediction"]
    grid = figure.subplots(rows, _MISTAKES_IN_A_ROW, squeeze=False)
    for axes, image, index in zip(grid.flat, pixels, chosen, strict=False):
        show_image(axes, image)
        name = short(files[index].rpartition("/")[2]) if files else f"image {index}"
        true, predicted = names[predictions.label[index]], names[guesses[index]]
        said = f"predicted {predicted} ({percent(confidence[index], 0)})"
        text = fitted((f"true {true}", said, name), INCHES_ABOVE_AN_IMAGE, 7)
        axes.set_title(text, fontsize=7)
    for axes in figure.axes:
        hide_axes(axes)
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
        label="bar: accuracy of the images with such a confidence",
    )
    rates.plot(
        confidence,
        accuracy,
        "o",
        color=_DARK,
        label="dot: mean confidence (horizontal) and accuracy (vertical) of a bar",
    )
    rates.plot([0, 1], [0, 1], "--", color=_LIGHT, label="line: perfect calibration, both are equal")
    rates.set_ylabel("accuracy")
    rates.set_ylim(0, 1.02)
    rates.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    # Above the axes: bars may fill any corner.
    rates.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1, fontsize=8)
    counts.bar(edges, bins.num_images, 1 / ECE_BINS, align="edge", color="#b9cbdc", edgecolor=_DARK)
    # From 0.7, so that a bar of one image is seen.
    highest = 10 ** np.ceil(np.log10(max(10.0, 1.1 * bins.num_images.max())))
    counts.set_yscale("log")
    counts.set_ylim(0.7, highest)
    ticks = 10.0 ** np.arange(round(np.log10(highest)) + 1)
    counts.set_yticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    counts.set_ylabel("number of images\n(logarithmic)")
    counts.set_xlabel("confidence (probability of the predicted class)")
    counts.set_xlim(0, 1)
    counts.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for axes in (rates, counts):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    num_images = int(bins.num_images.sum())
    figure.suptitle(
        f"{title}\nexpected calibration error {percent(ece)}, {num_images:,} test images", fontsize=10
    )
    return figure
