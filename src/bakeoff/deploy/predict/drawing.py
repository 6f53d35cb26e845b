"""An annotated picture: as it is, and as the model sees it with its box or where it looks. No torch."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from bakeoff.deploy.predict.answers import NO_PREDICTION, Answer
from bakeoff.plots.canvas import hide_axes, new_figure, show_image
from bakeoff.plots.lettering import drawable, fitted, short, short_names
from bakeoff.plots.overlays import draw_overlay
from bakeoff.plots.style import own_style
from bakeoff.runs.storage import write_atomically
from bakeoff.text import percent

if TYPE_CHECKING:
    from bakeoff.models.base import Overlay

_DPI = 120
_WIDTH_INCHES, _HEIGHT_INCHES = 5.0, 3.2
_MOST_BYTES = 120  # of a file's name that go into the drawing's


def _shown(pixels: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "c h2 w2"]:
    """A picture a single pixel high or wide is drawn with two."""
    _, height, width = pixels.shape
    return pixels.repeat(2 if height == 1 else 1, axis=1).repeat(2 if width == 1 else 1, axis=2)


def draw(
    folder: Path,
    number: int,
    answer: Answer,
    original: UInt8[np.ndarray, "c h w"],
    seen: UInt8[np.ndarray, "c0 h0 w0"],
    overlay: "Overlay | None",
    class_names: Sequence[str],
) -> None:
    """Writes `<number>-<name>.png` into a folder that is there.

    Args:
        folder: where.
        number: of the picture, from 1: names of several folders may be equal.
        answer: what the model says.
        original: the picture, small.
        seen: the model's input.
        overlay: what the model shows of its decision.
        class_names: all classes.

    Raises:
        ResourceError: the file cannot be written.
    """
    original = _shown(original)
    with own_style():
        figure = new_figure(_WIDTH_INCHES, _HEIGHT_INCHES)
        said = NO_PREDICTION
        if answer.top:
            name, share = answer.top[0]
            said = f"{short(name, 30)}, {percent(share)}"
        called = short(Path(answer.name).name, 40)
        figure.suptitle(fitted([called, said], _WIDTH_INCHES, 10), fontsize=10)
        left, right = figure.subplots(1, 2)
        for axes in (left, right):
            hide_axes(axes)
        show_image(left, original)
        left.set_title("picture", fontsize=8)
        if overlay is None:
            show_image(right, seen)
            right.set_title("what the model sees", fontsize=8)
        else:
            right.set_title(drawable(overlay.title), fontsize=8)
            draw_overlay(right, seen, overlay, dict(zip(class_names, short_names(class_names), strict=True)))
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI)
    named = Path(answer.name)
    words = [word for word in (named.parent.name, named.stem) if word]  # the folder may be its class
    stem = os.fsencode("-".join(words))[:_MOST_BYTES].decode("utf-8", "replace").strip("-")
    path = folder / f"{number:05}-{stem or 'picture'}.png"
    write_atomically(path, lambda file: file.write(content.getvalue()), "--draw", sync=False)
