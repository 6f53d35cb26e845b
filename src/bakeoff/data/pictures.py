"""One picture file -> bytes of one size. Pillow and NumPy, no torch.

Every picture is turned as its EXIF says; 16 bits become 8; transparent parts show white; the largest
square in the middle is scaled to the wanted size, with all pixels taken into account (antialiasing).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bakeoff.data.opening import opened_picture
from bakeoff.text import one_line

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
_SIXTEEN_BIT_MODES = _GREY_MODES[4:]
_EXIF_ORIENTATION = 0x0112
_TURNED_A_QUARTER = (5, 6, 7, 8)  # EXIF 2.32, table 6: rows are columns


class BrokenPictureError(Exception):
    """A file that is no picture, is cut off, or claims to be too large."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded."""

    height: int
    width: int
    is_grey: bool


def read_header(path: Path) -> Header:
    """Opens a picture without decoding it.

    Raises:
        BrokenPictureError: with the reason.
    """
    try:
        with opened_picture(path) as image:
            width, height = image.size
            # Of a TIFF Pillow gives the turned size by itself.
            if image.format != "TIFF" and image.getexif().get(_EXIF_ORIENTATION) in _TURNED_A_QUARTER:
                width, height = height, width
            return Header(height, width, _is_grey(image))
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        raise BrokenPictureError(_reason(error)) from error


def read_picture(path: Path, size: int | None, channels: int) -> np.ndarray:
    """Decodes a picture.

    Args:
        path: the file.
        size: pixels a side of the result; None to keep the picture's own height and width.
        channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 [channels, height, width].

    Raises:
        BrokenPictureError: with the reason.
    """
    try:
        with opened_picture(path) as image:
            if size is not None:
                # JPEG decodes straight to a half, a quarter or an eighth; twice the size is kept to
                # leave the rest to the antialiased scaling.
                image.draft(None, (2 * size, 2 * size))
            turned = ImageOps.exif_transpose(image)
            converted = _eight_bits(turned).convert("L" if channels == 1 else "RGB")
        if size is not None:
            converted = _square(converted, size)
        pixels = np.asarray(converted)
    except Exception as error:  # as above
        raise BrokenPictureError(_reason(error)) from error
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P":
        # Many tools store grey pictures with a palette.
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY_MODES


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.clip(np.asarray(image).astype(np.int64), 0, 65_535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, with_alpha)
    return image


def _square(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    # Cut out first, so that a very long picture takes no memory.
    middle = image.crop((left, top, left + side, top + side))
    return middle.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _reason(error: Exception) -> str:
    text = one_line(error.strerror or error if isinstance(error, OSError) else error)
    return (
        "no PNG, JPEG, BMP, WebP, GIF or TIFF"
        if text.startswith("cannot identify")
        else text or type(error).__name__
    )
