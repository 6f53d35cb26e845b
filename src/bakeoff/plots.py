"""Pictures of a finished run (PNG): learning curves, confusion matrix, worst mistakes.

Figures are made without pyplot, so no display and no global state; lines differ in dash as well as
in colour, so that they read in grey print.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.data.splits import Split
from bakeoff.metrics import answers
from bakeoff.prediction import Predictions
from bakeoff.records import EpochRecord
from bakeoff.rundir import RunDir
from bakeoff.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 120
_NUM_MISTAKES = 25
_MOST_CELLS_WITH_NUMBERS = 20  # classes; above that the numbers would not be readable
_DARK, _LIGHT = "#1b3a57", "#c8553d"


def draw_all(
    run: RunDir,
    title: str,
    epochs: Sequence[EpochRecord],
    counts: np.ndarray,
    class_names: Sequence[str],
    test: Split,
    predictions: Predictions,
) -> None:
    """Writes the pictures of a run."""
    _save(run, "curves.png", learning_curves(epochs, title))
    _save(run, "confusion.png", confusion_matrix(counts, class_names, title))
    _save(run, "mistakes.png", worst_mistakes(test, predictions, class_names, title))


def learning_curves(epochs: Sequence[EpochRecord], title: str) -> "Figure":
    """Losses and validation accuracy by epoch."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = _figure(9, 3.6)
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
    """Test images by true class (rows) and answer (columns); shaded by share of the row."""
    columns = list(class_names)
    if counts[:, -1].any():
        columns.append("no answer")
    shown = counts[:, : len(columns)]
    shares = shown / np.maximum(shown.sum(axis=1, keepdims=True), 1)
    size = min(14.0, max(4.5, 0.5 * len(columns) + 1.5))
    figure = _figure(size, size)
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
    axes.set_xticks(range(len(columns)), columns, rotation=90 if max(map(len, columns)) > 2 else 0)
    axes.set_yticks(range(len(class_names)), class_names)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    axes.set_title(f"{title}\n{int(counts.sum()):,} test images", fontsize=10)
    return figure


def worst_mistakes(test: Split, predictions: Predictions, class_names: Sequence[str], title: str) -> "Figure":
    """The test images that were answered wrongly with the most confidence."""
    import torch

    guesses = answers(predictions.probabilities)
    wrong = np.flatnonzero(guesses != predictions.label)
    confidence = predictions.probabilities.max(axis=1)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:_NUM_MISTAKES]
    figure = _figure(8, 9)
    figure.suptitle(
        f"{title}\n{len(wrong):,} of {len(guesses):,} test images wrong; the most confident mistakes"
    )
    if len(chosen) == 0:
        figure.text(0.5, 0.5, "no mistakes", ha="center")
        return figure
    pixels = test.images(torch.from_numpy(chosen).to(test.device)).cpu().numpy()
    names = [*class_names, "no answer"]
    for axes, image, index in zip(figure.subplots(5, 5).flat, pixels, chosen, strict=False):
        axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_title(
            f"true {names[predictions.label[index]]}, said {names[guesses[index]]}\n"
            f"{confidence[index]:.1%}, image {index}",
            fontsize=7,
        )
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(run: RunDir, name: str, figure: Any) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    write_atomically(run.plot_file(name), lambda file: file.write(content.getvalue()))
