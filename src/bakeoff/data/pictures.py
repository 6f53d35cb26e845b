"""One picture file -> bytes of one size. Pillow and NumPy, no torch.

Every picture is turned as its EXIF says; 16 bits become 8; transparent parts show white; it is brought to a
square as `data.fit` says and scaled with all pixels taken into account (antialiasing).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bakeoff.config.schema import DataConfig
from bakeoff.data.opening import opened_picture
from bakeoff.text import one_line

# The limit is data.max_megapixels, which a person can see and raise; Pillow's own would only warn.
Image.MAX_IMAGE_PIXELS = None
_MEGA = 1_000_000
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
_SIXTEEN_BIT_MODES = _GREY_MODES[4:]
_EXIF_ORIENTATION = 0x0112
_TURNED_A_QUARTER = (5, 6, 7, 8)  # EXIF 2.32, table 6: rows are columns


class BrokenPictureError(Exception):
    """A file that is no picture, is cut off, or claims to be too large."""


class TooLargePictureError(BrokenPictureError):
    """A picture that says to have more pixels than `data.max_megapixels`."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded."""

    height: int
    width: int
    is_grey: bool


class DecodingBudget:
    """Bounds what all threads together hold decoded, in pixels; one picture alone always gets in."""

    def __init__(self, megapixels: float) -> None:
        self._free = self._all = int(megapixels * _MEGA)
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Waits until so many pixels are free, and holds them inside the block."""
        wanted = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def read_header(path: Path, max_megapixels: float = DataConfig.max_megapixels) -> Header:
    """Opens a picture without decoding it.

    Raises:
        BrokenPictureError: with the reason.
    """
    try:
        with opened_picture(path) as image:
            _check_size(image, max_megapixels)
            width, height = image.size
            # Of a TIFF Pillow gives the turned size by itself.
            if image.format != "TIFF" and image.getexif().get(_EXIF_ORIENTATION) in _TURNED_A_QUARTER:
                width, height = height, width
            return Header(height, width, _is_grey(image))
    except BrokenPictureError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        raise BrokenPictureError(_reason(error, path)) from error


def read_picture(
    path: Path | bytes,
    size: int | None,
    channels: int,
    fit: str = DataConfig.fit,
    max_megapixels: float = DataConfig.max_megapixels,
    budget: DecodingBudget | None = None,
) -> np.ndarray:
    """Decodes a picture.

    Args:
        path: the file, or its content.
        size: pixels a side of the result; None to keep the picture's own height and width.
        channels: 1 for grey, 3 for RGB.
        fit: how the picture becomes a square: `crop`, `pad` or `stretch`; `inside` keeps its shape, with
            at most `size` pixels a side.
        max_megapixels: a larger picture is refused, before it is decoded.
        budget: what pictures that are decoded at the same time share.

    Returns:
        uint8 [channels, height, width].

    Raises:
        BrokenPictureError: with the reason.
    """
    budget = budget or DecodingBudget(max_megapixels)
    try:
        with opened_picture(path) as image:
            _check_size(image, max_megapixels)
            # A progressive JPEG is held whole whatever size is asked for.
            whole = image.width * image.height if image.info.get("progressive") else 0
            if size is not None:
                image.draft(None, _decoded_size(image.size, size, fit))
            with budget.taken(max(whole, image.width * image.height)):
                # In place, so that the whole picture is not there twice.
                ImageOps.exif_transpose(image, in_place=True)
                return pixels_of(image, size, channels, fit)
    except BrokenPictureError:
        raise
    except Exception as error:  # as above
        raise BrokenPictureError(_reason(error, path)) from error


def pixels_of(image: Image.Image, size: int | None, channels: int, fit: str = DataConfig.fit) -> np.ndarray:
    """A decoded picture as `read_picture` gives it; uint8 [channels, height, width]."""
    converted = _in_mode(_eight_bits(image), "L" if channels == 1 else "RGB")
    if size is not None:
        converted = _square(converted, size, fit)
    pixels = np.asarray(converted)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def cut_share(header: Header) -> float:
    """Share of a picture's area that `data.fit=crop` cuts off."""
    shorter, longer = sorted((header.height, header.width))
    return 1 - shorter / longer


def _check_size(image: Image.Image, max_megapixels: float) -> None:
    """Said by the header, before anything is decoded: a few bytes may claim to be gigabytes."""
    megapixels = image.width * image.height / _MEGA
    if megapixels > max_megapixels:
        raise TooLargePictureError(
            f"{image.width}x{image.height} pixels are {megapixels:,.4g} megapixels, more than "
            f"data.max_megapixels={max_megapixels:g} allows"
        )


def _decoded_size(size: tuple[int, int], side: int, fit: str) -> tuple[int, int]:
    """What JPEG, which decodes straight to a half, a quarter or an eighth, must not go below.

    Twice the wanted size is kept, to leave the rest to the antialiased scaling.
    """
    if fit not in ("pad", "inside"):
        return 2 * side, 2 * side
    longer = max(size)
    width, height = (max(1, 2 * side * one // longer) for one in size)
    return width, height


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P":
        # Many tools store grey pictures with a palette.
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY_MODES


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture itself where it has the mode: `convert` would copy it."""
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        # Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image).astype(np.int32)
        np.clip(values, 0, 65_535, out=values)
        values += 128
        values //= 257
        return Image.fromarray(values.astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = _in_mode(image, "RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, with_alpha)
    return image


def _square(image: Image.Image, size: int, fit: str) -> Image.Image:
    width, height = image.size
    if fit == "inside":
        return image if max(image.size) <= size else _inside(image, size)
    if fit == "pad":
        return _padded(image, size)
    if fit == "crop" and width != height:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Cut out first, so that a very long picture takes no memory.
        image = image.crop((left, top, left + side, top + side))
    return image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _inside(image: Image.Image, size: int) -> Image.Image:
    """The picture in its own shape."""
    longer = max(image.size)
    width, height = (max(1, round(one * size / longer)) for one in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _padded(image: Image.Image, size: int) -> Image.Image:
    """All of the picture in the middle of a square; the rest has the mean colour of its border."""
    small = _inside(image, size)
    width, height = small.size
    if width == height:
        return small
    square = Image.new(image.mode, (size, size), _border_colour(small))
    square.paste(small, ((size - width) // 2, (size - height) // 2))
    return square


def _border_colour(image: Image.Image) -> int | tuple[int, ...]:
    """Mean over the outermost pixels: no edge that a network would look at, on paper and on black alike."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    colour = tuple(round(value) for value in border.mean(axis=0).tolist())
    return colour if len(colour) > 1 else colour[0]


def _reason(error: Exception, path: Path | bytes) -> str:
    with suppress(OSError):
        if not path or (isinstance(path, Path) and path.is_file() and path.stat().st_size == 0):
            return "empty file"
    text = one_line(error.strerror or error if isinstance(error, OSError) else error)
    return (
        "no PNG, JPEG, BMP, WebP, GIF or TIFF"
        if text.startswith("cannot identify")
        else text or type(error).__name__
    )
