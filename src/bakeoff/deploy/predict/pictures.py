"""Any picture -> the bytes that a trained model takes, read as its training pictures were. No torch.

A set of handwriting has no pictures of its own on the disk: its photographs are prepared (`ink.py`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from bakeoff.config.schema import DataConfig
from bakeoff.data.pictures import BrokenPictureError, DecodingBudget, pixels_of, read_picture
from bakeoff.data.sets import find_set
from bakeoff.deploy.predict.ink import Preparation, prepared
from bakeoff.deploy.predict.strokes import LONGEST
from bakeoff.text import one_line

Source = Path | bytes | Image.Image


@dataclass(frozen=True)
class Picture:
    """A picture as a model sees it."""

    pixels: UInt8[np.ndarray, "c h w"]
    note: str | None  # what was done to it beside scaling; None: nothing


def is_handwriting(config: DataConfig) -> bool:
    """Whether a data set is white writing on black, so that photographs of writing are prepared for it."""
    traits = find_set(config.name).TRAITS
    return traits.has_ink and traits.has_text


def bytes_of(
    source: Source,
    shape: tuple[int, int, int],
    config: DataConfig,
    as_is: bool = False,
    budget: DecodingBudget | None = None,
) -> Picture:
    """Reads a picture of any size and colour for a model.

    Args:
        source: a file, a file's content, or a picture that Pillow holds.
        shape: channels, height and width of the model's images.
        config: `data` of its run: which set, how pictures become a square, the largest one.
        as_is: photographs of writing are only scaled.
        budget: what pictures that are decoded at the same time share.

    Raises:
        BrokenPictureError: with the reason.
    """
    channels, height, width = shape
    if is_handwriting(config) and channels == 1 and height == width and not as_is:
        grey = _read(source, LONGEST, 1, "inside", config, budget)[0]
        pixels, done = prepared(grey, height, config.name)
        return Picture(pixels[None], None if done is Preparation.NONE else done.value)
    if height == width:
        return Picture(_read(source, height, channels, config.fit, config, budget), None)
    whole = _read(source, None, channels, config.fit, config, budget)
    return Picture(_brought_to(whole, height, width, config.fit), None)


def _read(
    source: Source,
    size: int | None,
    channels: int,
    fit: str,
    config: DataConfig,
    budget: DecodingBudget | None,
) -> UInt8[np.ndarray, "c h w"]:
    if not isinstance(source, Image.Image):
        return read_picture(source, size, channels, fit, config.max_megapixels, budget)
    try:
        return pixels_of(source, size, channels, fit)
    except (OSError, ValueError, SyntaxError) as error:  # its file may be opened and not yet decoded
        raise BrokenPictureError(one_line(error)) from error


def _brought_to(
    pixels: UInt8[np.ndarray, "c h0 w0"], height: int, width: int, fit: str
) -> UInt8[np.ndarray, "c h w"]:
    """Pictures that were all of one size, no square, were trained as they are; others are brought to it."""
    if pixels.shape[1:] == (height, width):
        return pixels
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    if fit == "crop":
        # The part of that shape in the middle.
        scale = min(image.height / height, image.width / width)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        left, top = ((whole - part) // 2 for whole, part in zip(image.size, inner, strict=True))
        image = image.crop((left, top, left + inner[0], top + inner[1]))
    elif fit == "pad":
        image = ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR, _border_colour(pixels))
    image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    found = np.asarray(image)
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


def _border_colour(pixels: np.ndarray) -> int | tuple[int, ...]:
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    colour = tuple(round(value) for value in border.mean(axis=1).tolist())
    return colour if len(colour) > 1 else colour[0]
