"""Ink to an image as the makers of a digit set made theirs. No torch.

MNIST (LeCun et al., Gradient-based learning applied to document recognition, 1998, section III.A): black and
white digits are scaled to fit 20x20 pixels with their aspect ratio kept, which makes them grey at the edges,
and put into 28x28 with their centre of mass in the middle. EMNIST (Cohen et al. 2017, section II): the
digit fills all but two pixels a side, by its box. The digits of scikit-learn fill their 8x8.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

_FINER = 4  # the image is made so many times larger, then averaged
_ROOM = 0.15  # of a side, that a set's own images differ from its making
_FINE_SIZE = 96  # pixels of the longer side where strokes are made thicker or thinner


@dataclass(frozen=True)
class Making:
    """How a set's images were made, as shares of a side."""

    size: float  # of the longer side of a digit
    by_mass: bool  # centred by its centre of mass; else by its box
    middle: float  # where the centre stands
    # Width of a stroke, as a share of the longer side of the digit, as measured in the set: thinner and
    # thicker ones are brought there. A ballpoint's line would vanish when it is scaled down.
    thinnest: float
    thickest: float


# Of 1,000 test images of MNIST the median of a stroke's width is 0.12, the 2nd and 98th percentile are 0.07
# and 0.21. Their centre of mass is at the centre of pixel 14, which is 14.5 of 28.
MNIST = Making(20 / 28, by_mass=True, middle=14.5 / 28, thinnest=0.10, thickest=0.18)
MAKINGS = {
    "emnist": Making(24 / 28, by_mass=False, middle=0.5, thinnest=0.10, thickest=0.18),
    "kmnist": Making(26 / 28, by_mass=False, middle=0.5, thinnest=0.09, thickest=0.18),
    "digits": Making(1.0, by_mass=False, middle=0.5, thinnest=0.18, thickest=0.28),
}


def centred(mask: Float32[np.ndarray, "h w"], side: int, making: Making = MNIST) -> UInt8[np.ndarray, "s s"]:
    """White on black, of the size and in the place that the set's images have.

    Args:
        mask: ink, 0..1, cut to the writing.
        side: pixels a side of the result.
        making: how the set was made.
    """
    evened = _evened(mask, making)
    longer = max(evened.shape)
    target = making.size * side * _FINER
    height, width = (max(1, round(one * target / longer)) for one in evened.shape)
    smoothly = Image.Resampling.BOX if longer > target else Image.Resampling.BILINEAR
    fine = np.asarray(Image.fromarray(evened).resize((width, height), smoothly))
    field = np.zeros((side * _FINER, side * _FINER), dtype=np.float32)
    middle = making.middle * side * _FINER
    top, left = (_start(fine, axis, middle, making.by_mass, len(field)) for axis in (0, 1))
    field[top : top + height, left : left + width] = fine
    small = field.reshape(side, _FINER, side, _FINER).mean(axis=(1, 3))
    # The darkest ink is 255 in almost every image of these sets.
    brighter = small * (255 / max(float(small.max()), 1e-6))
    return np.asarray(np.clip(np.round(brighter), 0, 255), dtype=np.uint8)


def is_placed(pixels: UInt8[np.ndarray, "s s"], making: Making = MNIST) -> bool:
    """Whether white writing on black has about the size and the place that the set's images have."""
    side = len(pixels)
    ink = pixels > 64
    if not ink.any():
        return False
    spans = [np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0)]
    longer = max(int(span[-1] - span[0]) + 1 for span in spans)
    if not (making.size - _ROOM) * side <= longer <= (making.size + _ROOM) * side:
        return False
    weights = pixels.astype(np.float64)
    middles = [
        float((weights.sum(axis=1 - axis) * (np.arange(side) + 0.5)).sum() / weights.sum()) for axis in (0, 1)
    ]
    return all(abs(middle / side - making.middle) <= _ROOM for middle in middles)


def _start(fine: np.ndarray, axis: int, middle: float, by_mass: bool, room: int) -> int:
    """Where the digit begins along an axis; it stays inside."""
    length = fine.shape[axis]
    profile = fine.sum(axis=1 - axis)
    centre = length / 2
    if by_mass:
        centre = float((profile * (np.arange(length) + 0.5)).sum() / max(float(profile.sum()), 1e-6))
    return int(np.clip(round(middle - centre), 0, max(0, room - length)))


def _evened(mask: np.ndarray, making: Making) -> np.ndarray:
    """The ink with strokes as wide as the set has them, cut to it; float32 [h, w]."""
    from scipy import ndimage  # takes a while to import

    scale = _FINE_SIZE / max(mask.shape)
    size = tuple(max(1, round(one * scale)) for one in mask.shape[::-1])
    fine = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.BICUBIC))
    room = _FINE_SIZE // 8
    fine = np.pad(fine, room)
    ink = fine > 0.5
    if not ink.any():
        return mask
    inside = ndimage.distance_transform_edt(ink)
    # Of a stroke of even width the mean distance to its edge is a quarter of that; to the next pixel outside,
    # half a pixel more.
    width = 4 * float(inside[ink].mean()) - 2
    wanted = np.clip(width, making.thinnest * _FINE_SIZE, making.thickest * _FINE_SIZE)
    grow = (wanted - width) / 2
    if grow > 0.25:
        outside = ndimage.distance_transform_edt(~ink)
        fine = np.clip(grow + 1 - outside, 0, 1)
    elif grow < -0.25:
        fine = np.clip(inside + grow, 0, 1)
    rows, columns = (np.flatnonzero(fine.max(axis=axis) > 0.5) for axis in (1, 0))
    if not len(rows):
        return mask
    return fine[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
