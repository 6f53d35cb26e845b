"""What a model shows of its decisions, drawn on ten test images: where it looks, and boxes.

Everything differs in more than colour, so that it reads in grey print: the width of a line, its dash.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.evaluation.metrics import answers
from bakeoff.plots.canvas import INCHES_ABOVE_AN_IMAGE, hide_axes, new_figure, save, show_image
from bakeoff.plots.lettering import drawable, fitted, short_names
from bakeoff.runs.rundir import RunDir
from bakeoff.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bakeoff.data.splits import Split
    from bakeoff.evaluation.prediction import Predictions
    from bakeoff.machine.runtime import Runtime
    from bakeoff.models.base import Classifier, Overlay

_NUM_IMAGES = 10
_COLUMNS = 5
# Heights of a heat map, as shares of its range, and the widths of their lines.
_LEVELS, _WIDTHS = (0.4, 0.65, 0.85), (0.6, 1.4, 2.6)


def draw_explanations(
    run: RunDir,
    title: str,
    model: "Classifier",
    test: "Split",
    predictions: "Predictions",
    class_names: Sequence[str],
    runtime: "Runtime",
) -> None:
    """Writes `explain.png`; nothing for a model that has nothing to show."""
    import torch

    from bakeoff.models.base import evaluating

    chosen = some_of_each_class(predictions.label)
    images = test.images(torch.from_numpy(chosen).to(test.device)).to(runtime.device)
    with evaluating(model):
        overlays = model.explain(images)
    if not overlays:
        return
    guesses = answers(predictions.probabilities)
    names = [*short_names(class_names), "no prediction"]
    captions = []
    for index in chosen:
        true, predicted = (names[place[index]] for place in (predictions.label, guesses))
        captions.append(f"true {true}\npredicted {predicted}\nimage {index}")
    shown = dict(zip(class_names, names, strict=False))
    figure = explanation_figure(images.cpu().numpy(), overlays, captions, drawable(title), shown)
    save(run, figure, "explain.png")


def some_of_each_class(labels: np.ndarray, count: int = _NUM_IMAGES) -> np.ndarray:
    """Positions int64 of at most so many images: the first of each class, then the seconds, and so on."""
    rank = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        rank[places] = np.arange(len(places))
    return np.lexsort((labels, rank))[:count]


def explanation_figure(
    pixels: np.ndarray,
    overlays: Sequence["Overlay"],
    captions: Sequence[str],
    title: str,
    shown_names: Mapping[str, str],
) -> "Figure":
    """Each image with its overlay below it.

    Args:
        pixels: uint8 [n, c, h, w].
        overlays: n of them.
        captions: n texts.
        title: above all.
        shown_names: class name -> as it is drawn.
    """
    rows = -(-len(overlays) // _COLUMNS)
    figure = new_figure(1.7 * _COLUMNS, 3.6 * rows + 0.9)
    figure.suptitle(f"{title}\n{overlays[0].title}{_legend_of_heat(overlays)}", fontsize=10)
    grid = figure.subplots(2 * rows, _COLUMNS, squeeze=False)
    for axes in grid.flat:
        hide_axes(axes)
    for place, (image, overlay, caption) in enumerate(zip(pixels, overlays, captions, strict=True)):
        row, column = divmod(place, _COLUMNS)
        plain, drawn = grid[2 * row, column], grid[2 * row + 1, column]
        show_image(plain, image)
        plain.set_title(fitted(caption.split("\n"), INCHES_ABOVE_AN_IMAGE, 7), fontsize=7)
        draw_overlay(drawn, image, overlay, shown_names)
    # One of each kind, wherever it stands: an image without a detection has no box of its own.
    handles = {line.get_label(): line for axes in grid.flat for line in axes.lines}
    if handles:
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=2,
            frameon=False,
            fontsize=8,
        )
    return figure


def draw_overlay(axes: Any, image: np.ndarray, overlay: "Overlay", shown_names: Mapping[str, str]) -> None:
    """An image uint8 [c, h, w] with where the model looks and what it found."""
    show_image(axes, image)
    if overlay.heat is not None:
        _draw_heat(axes, overlay.heat.numpy())
    _draw_boxes(axes, overlay, shown_names)


def _legend_of_heat(overlays: Sequence["Overlay"]) -> str:
    return (
        "; most at what the thickest line encloses" if any(one.heat is not None for one in overlays) else ""
    )


def _draw_heat(axes: Any, heat: np.ndarray) -> None:
    """Lines of equal height; each map by its own range: what counts is where, not how much."""
    low, high = float(heat.min()), float(heat.max())
    if high - low <= 1e-6 * max(abs(high), 1e-12):
        return  # it looks everywhere alike
    levels = [low + share * (high - low) for share in _LEVELS]
    # Dark below light, so that a line shows on black and on white.
    axes.contour(heat, levels, colors="black", linewidths=[width + 1.6 for width in _WIDTHS])
    axes.contour(heat, levels, colors="#ffb000", linewidths=_WIDTHS)


def _draw_boxes(axes: Any, overlay: "Overlay", shown_names: Mapping[str, str]) -> None:
    """What was found, and dashed what is true where that is known."""
    for box, label, score in zip(overlay.boxes.tolist(), overlay.box_labels, overlay.box_scores, strict=True):
        _draw_box(axes, box, "box found", color="#ffb000", linewidth=1.8)
        name = shown_names.get(label, label)
        called = name if name.startswith("class ") else f"class {name}"
        text = fitted((f"{called}, score {percent(score, 0)}",), INCHES_ABOVE_AN_IMAGE, 7)
        axes.set_title(text, fontsize=7)
    if overlay.true_box is not None:
        _draw_box(axes, overlay.true_box.tolist(), "true box", color="#4cc9f0", linewidth=1.4, linestyle="--")


def _draw_box(axes: Any, box: Sequence[float], label: str, **look: Any) -> None:
    left, top, right, bottom = box
    corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
    axes.plot(*(np.array(values) - 0.5 for values in corners), label=label, **look)
