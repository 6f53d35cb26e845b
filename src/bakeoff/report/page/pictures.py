"""Test images as they stand in a page: PNG within the text, with what a model showed of its decision."""

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, UInt8

if TYPE_CHECKING:
    from PIL.Image import Image

    from bakeoff.runs.explanations import Explanation

_OVERLAY_SIDE = 112  # pixels, about, of a picture with something drawn on it
_LINE = 2  # pixels, of a box
_AMBER, _SKY = (255, 176, 0), (76, 201, 240)


def data_uri(pixels: UInt8[np.ndarray, "h w c"]) -> str:
    """An image as it is, for `src`."""
    return _encoded(_image(pixels))


def overlay_uri(pixels: UInt8[np.ndarray, "h w c"], explanation: "Explanation") -> str:
    """An image, larger, with heat as amber and boxes as lines: amber what was found, blue what is true."""
    from PIL import Image, ImageDraw

    height, width = pixels.shape[:2]
    factor = max(1, round(_OVERLAY_SIDE / max(height, width)))
    size = (width * factor, height * factor)
    picture = _image(pixels).convert("RGB").resize(size, Image.Resampling.NEAREST)
    if explanation.heat is not None:
        picture = _with_heat(picture, explanation.heat)
    draw = ImageDraw.Draw(picture)
    across, down = size[0] / explanation.width, size[1] / explanation.height
    boxes = [(box, _AMBER) for box in explanation.boxes]
    if explanation.true_box is not None:
        boxes.insert(0, (explanation.true_box, _SKY))
    for box, colour in boxes:
        left, right = _within(box[0] * across, box[2] * across, size[0])
        top, bottom = _within(box[1] * down, box[3] * down, size[1])
        draw.rectangle((left, top, right, bottom), outline=colour, width=_LINE)
    return _encoded(picture)


def _within(start: float, end: float, length: int) -> tuple[float, float]:
    """The first and last pixel of a side, no farther outside than its line: Pillow draws all of it."""
    first, last = np.clip([start, max(start, end) - 1], -_LINE, length + _LINE).tolist()
    return first, max(first, last)


def _with_heat(picture: "Image", heat: Float32[np.ndarray, "h w"]) -> "Image":
    """Each map by its own range: what counts is where, not how much."""
    from PIL import Image

    low, high = float(heat.min()), float(heat.max())
    if high - low <= 1e-6 * max(abs(high), 1e-12):
        return picture  # it looks everywhere alike
    strength = np.asarray((heat - low) / (high - low) * 170, dtype=np.uint8)
    mask = Image.fromarray(strength).resize(picture.size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", picture.size, _AMBER), picture, mask)


def _image(pixels: UInt8[np.ndarray, "h w c"]) -> "Image":
    from PIL import Image

    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _encoded(picture: "Image") -> str:
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
