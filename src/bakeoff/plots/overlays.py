"""What a model shows of its decisions, drawn on ten test images: heat maps and boxes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.evaluation.metrics import answers
from bakeoff.plots.figures import new_figure, save, short, show_image
from bakeoff.runs.rundir import RunDir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bakeoff.data.splits import Split
    from bakeoff.evaluation.prediction import Predictions
    from bakeoff.machine.runtime import Runtime
    from bakeoff.models.base import Classifier, Overlay

_NUM_IMAGES = 10
_COLUMNS = 5


def draw_explanations(
    run: RunDir,
    title: str,
    model: "Classifier",
    test: "Split",
    predictions: "Predictions",
    class_names: Sequence[str],
    runtime: "Runtime",
) -> None:
    """Writes `explain.png`, and the same under the first word of what it shows, as `attention.png`.

    Nothing is written for a model that has nothing to show.
    """
    import torch

    from bakeoff.models.base import evaluating

    chosen = some_of_each_class(predictions.label)
    images = test.images(torch.from_numpy(chosen).to(test.device)).to(runtime.device)
    with evaluating(model):
        overlays = model.explain(images)
    if not overlays:
        return
    guesses = answers(predictions.probabilities)
    names = [*class_names, "no prediction"]
    captions = []
    for index in chosen:
        true, predicted = (short(names[place[index]]) for place in (predictions.label, guesses))
        captions.append(f"true {true}, predicted {predicted}\nimage {index}")
    figure = explanation_figure(images.cpu().numpy(), overlays, captions, f"{title}\n{overlays[0].title}")
    save(run, figure, "explain.png", f"{overlays[0].title.partition(' ')[0]}.png")


def some_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Positions int64 of at most ten images: the first of each class, then the seconds, and so on."""
    rank = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        rank[places] = np.arange(len(places))
    return np.lexsort((labels, rank))[:_NUM_IMAGES]


def explanation_figure(
    pixels: np.ndarray, overlays: Sequence["Overlay"], captions: Sequence[str], title: str
) -> "Figure":
    """Each image with its overlay beside it.

    Args:
        pixels: uint8 [n, c, h, w].
        overlays: n of them.
        captions: n texts.
        title: above all.
    """
    rows = -(-len(overlays) // _COLUMNS)
    figure = new_figure(1.7 * _COLUMNS, 3.6 * rows + 0.7)
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(2 * rows, _COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (image, overlay, caption) in enumerate(zip(pixels, overlays, captions, strict=True)):
        row, column = divmod(place, _COLUMNS)
        plain, shown = grid[2 * row, column], grid[2 * row + 1, column]
        show_image(plain, image)
        plain.set_title(caption, fontsize=7)
        show_image(shown, image)
        if overlay.heat is not None:
            # Each map by its own highest value: what counts is where, not how much.
            shown.imshow(
                overlay.heat.numpy(), cmap="inferno", alpha=0.65, vmin=0, vmax=float(overlay.heat.max())
            )
        for box, label, score in zip(
            overlay.boxes.tolist(), overlay.box_labels, overlay.box_scores, strict=True
        ):
            left, top, right, bottom = box
            corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
            shown.plot(*(np.array(values) - 0.5 for values in corners), color="#ffb000", linewidth=1.5)
            shown.set_title(f"{short(label)} {score:.0%}", fontsize=7)
    return figure
