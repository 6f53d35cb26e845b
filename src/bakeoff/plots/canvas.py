"""An empty figure, images on it, and the file that it becomes. No pyplot: no display, no global state."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.plots.lettering import fitted, short
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 120
# Of a text above one of five images in 8.5 inches, with a space beside it.
INCHES_ABOVE_AN_IMAGE = 1.45


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(run: RunDir, figure: Any, name: str) -> None:
    """Writes a figure into the run's folder of pictures."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
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
            axes.set_ylabel(fitted((short(row_names[row]),), 0.95, 8), fontsize=8)
        if row == 0:
            axes.set_title(column_names[column], fontsize=8)
    return figure


def show_image(axes: Any, image: np.ndarray) -> None:
    """Draws an image uint8 [c, h, w]."""
    axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=255)


def hide_axes(axes: Any) -> None:
    """Shows what is drawn, and no axes. Ticks go too: hidden ones take half of the time to draw."""
    axes.set(xticks=[], yticks=[])
    axes.set_axis_off()
