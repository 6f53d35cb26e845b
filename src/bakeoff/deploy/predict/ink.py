"""A picture of handwriting -> an image as a digit set has them, and what was done to it. No torch."""

from enum import Enum

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from bakeoff.deploy.predict.answers import NO_INK
from bakeoff.deploy.predict.centring import MAKINGS, MNIST, centred, is_placed
from bakeoff.deploy.predict.strokes import LONGEST, find_ink

_BLACK = 32  # of 255: half of the border of the sets' own images is at most that
_PURE = 2  # of 255: what was drawn on black; no camera gives a border without any light


class Preparation(Enum):
    """What was done to a picture."""

    NONE = None  # it looks as the set's own
    INVERTED = "inverted"
    CENTRED = "centred"
    INVERTED_AND_CENTRED = "inverted and centred"
    NO_INK = NO_INK


def prepared(
    picture: UInt8[np.ndarray, "h w"], side: int, data_name: str = "mnist"
) -> tuple[UInt8[np.ndarray, "s s"], Preparation]:
    """Brings a picture to the look of a set's own images: white on black, scaled and centred.

    What has the size and the black border of the set's own comes through as it is, or with black and white
    exchanged.

    Args:
        picture: grey, of any size.
        side: pixels a side of the set's images.
        data_name: the set, which says how its makers placed a digit.
    """
    making = MAKINGS.get(data_name, MNIST)
    if picture.shape == (side, side):
        for pixels, done in ((picture, Preparation.NONE), (255 - picture, Preparation.INVERTED)):
            if _has_black_border(pixels):
                return pixels, done
    is_black, is_white = _has_black_border(picture, _PURE), _has_black_border(255 - picture, _PURE)
    if is_black != is_white and picture.shape[0] == picture.shape[1]:
        small = _resized(picture if is_black else 255 - picture, side, side)
        if is_placed(small, making):  # the set's own image, enlarged
            return small, Preparation.NONE if is_black else Preparation.INVERTED
    ink = find_ink(_with_longer_side(picture, LONGEST), is_dark=is_white if is_black != is_white else None)
    if ink is None:
        return _resized(picture, side, side), Preparation.NO_INK
    done = Preparation.INVERTED_AND_CENTRED if ink.is_dark else Preparation.CENTRED
    return centred(ink.mask, side, making), done


def _has_black_border(pixels: np.ndarray, darkest: int = _BLACK) -> bool:
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return 2 * int(np.count_nonzero(border <= darkest)) >= len(border)


def _with_longer_side(picture: np.ndarray, longest: int) -> np.ndarray:
    scale = longest / max(picture.shape)
    height, width = (max(1, round(one * scale)) for one in picture.shape)
    return _resized(picture, height, width)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(image)
