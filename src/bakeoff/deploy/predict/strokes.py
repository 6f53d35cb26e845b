"""Finds the ink in a photograph of handwriting: uneven light, ruled lines and the table around are left out.

No torch. The order: reflectance (the light is divided out), ruled lines, connected marks, the writing among
them. Both dark ink on light paper and chalk on a board are tried; what encloses the other is the writing.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from bakeoff.deploy.predict.background import backgrounds

LONGEST = 300  # pixels, the longer side of what is looked at; a pen's line is still a pixel wide
_BLUR_PIXELS = 0.8
_DARKEST_LIGHT = 48.0  # in deep shadow noise would be divided by next to nothing
_LEAST_CONTRAST = 0.07  # of ink, as a share of the paper's brightness: less is a stain or noise
_CORE, _EDGE = 0.45, 0.3  # shares of the ink's own contrast: what is ink, and what belongs to it
_SMALLEST_PART = 0.03  # of the area of the largest mark: less is dirt
_NEAR = 0.2  # of the size of the largest mark: parts of a digit may stand so far from it
_LEAST_SIZE = 0.04  # of the shorter side: smaller marks are dirt
_WIDEST_LINE = 5  # pixels, of what is printed
_TOGETHER = 6  # pixels along a line
_CHALK_IS_RARER = 0.8


Box = tuple[slice, slice]


@dataclass(frozen=True)
class Ink:
    """The writing of a picture."""

    mask: Float32[np.ndarray, "h w"]  # 0..1, cut to the writing
    is_dark: bool  # on light paper


@dataclass(frozen=True)
class _Found:
    sure: np.ndarray  # float32 [h, w]: contrast to the paper and to what lies around it
    strength: np.ndarray  # float32 [h, w]: contrast to the paper; at its sides there may be slivers
    main: np.ndarray  # bool [h, w]: the largest mark, roughly
    contrast: float
    size: float  # pixels, diagonal of the mark; less where it comes in from the border
    box: Box  # rows and columns of the mark


def find_ink(picture: UInt8[np.ndarray, "h w"], *, is_dark: bool | None = None) -> Ink | None:
    """The writing; None where nothing has enough contrast.

    Args:
        picture: grey, `LONGEST` pixels on its longer side: widths below are meant for that.
        is_dark: whether it is darker than its paper; None: to be found out.
    """
    from scipy import ndimage  # takes a while to import

    grey = ndimage.gaussian_filter(picture.astype(np.float32), _BLUR_PIXELS)
    without_marks = backgrounds(np.stack([255 - grey, grey]))
    dark = light = None
    if is_dark is not False:
        dark = _main_mark(*_without_lines(*(_contrast(255 - each[0], grey) for each in without_marks)))
    if is_dark is not True:
        light = _main_mark(*(_contrast(grey, each[1]) for each in without_marks))
    found, found_dark = (light, False) if _is_chalk(dark, light) else (dark, True)
    if found is None:
        return None
    mask = _with_its_parts(found)
    if not (mask > 0.5).any():
        return None
    rows, columns = (np.flatnonzero(mask.max(axis=axis) > 0.5) for axis in (1, 0))
    return Ink(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], found_dark)


def _is_chalk(dark: _Found | None, light: _Found | None) -> bool:
    """Strokes enclose the paper between them, so of ink and of gaps the mark around the other is the ink."""
    if dark is None or light is None:
        return dark is None
    if _encloses(light.box, dark.box) != _encloses(dark.box, light.box):
        return _encloses(light.box, dark.box)
    return _CHALK_IS_RARER * light.contrast * light.size > dark.contrast * dark.size


def _encloses(outer: Box, inner: Box) -> bool:
    return all(a.start <= b.start and b.stop <= a.stop for a, b in zip(outer, inner, strict=True))


def _contrast(bright: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """How much darker, as a share of the brighter one: the light falls out."""
    return np.asarray((bright - dark) / np.maximum(bright, _DARKEST_LIGHT))


def _main_mark(sure: np.ndarray, strength: np.ndarray) -> _Found | None:
    """The largest mark that does not come in from the border as a table or a shadow does."""
    from scipy import ndimage

    noise = float(np.median(sure))
    labels, count = ndimage.label(sure > max(_LEAST_CONTRAST, 3 * noise), np.ones((3, 3)))
    if count == 0:
        return None
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    contacts = np.bincount(_border(labels), minlength=count + 1)
    boxes = ndimage.find_objects(labels)
    best: _Found | None = None
    least = _LEAST_SIZE * min(sure.shape)
    for number in np.argsort(areas[1:])[::-1][:12] + 1:
        box = boxes[number - 1]
        height, width = (part.stop - part.start for part in box)
        if max(height, width) < least:
            continue
        level = float(np.percentile(sure[box][labels[box] == number], 90))
        # A picture that is cut tightly touches the border with the ends of its strokes alone.
        touches = contacts[number] / max(height, width)
        size = float(np.hypot(height, width)) * (1.0 if touches == 0 else 0.5 if touches < 0.3 else 0.05)
        if best is None or level * size > best.contrast * best.size:
            best = _Found(sure, strength, labels == number, level, size, box)
    return best if best is not None and best.contrast >= _LEAST_CONTRAST else None


def _border(labels: np.ndarray) -> np.ndarray:
    return np.asarray(np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]]))


def _with_its_parts(found: _Found) -> np.ndarray:
    """The mark at its own contrast, with parts that stand near it, such as the bar of a 5; float32 [h, w]."""
    from scipy import ndimage

    level = float(np.percentile(found.strength[found.main], 90))
    core = found.strength > max(_LEAST_CONTRAST, _CORE * level)
    labels, count = ndimage.label(core, np.ones((3, 3)))
    if count == 0:
        return np.zeros_like(found.strength)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    inside = np.bincount(labels[found.main], minlength=count + 1)
    inside[0] = 0
    chosen = int(inside.argmax())
    boxes = ndimage.find_objects(labels)
    rows, columns = boxes[chosen - 1]
    reach = _NEAR * max(rows.stop - rows.start, columns.stop - columns.start)
    kept = np.zeros(count + 1, dtype=bool)
    kept[chosen] = True
    # Slivers are large in one and nothing in the other.
    seen = np.bincount(labels[found.sure > _CORE * level], minlength=count + 1)
    for number, box in enumerate(boxes, 1):
        gap = max(max(a.start - b.stop, b.start - a.stop) for a, b in zip(box, (rows, columns), strict=True))
        large = areas[number] >= _SMALLEST_PART * areas[chosen]
        kept[number] |= large and gap <= reach and seen[number] > 0.5 * areas[number]
    near = ndimage.binary_dilation(kept[labels], np.ones((3, 3)), iterations=2)
    soft = np.clip((found.strength / level - _EDGE) / (1 - 2 * _EDGE), 0, 1)
    return np.where(near, soft, 0).astype(np.float32)


def _without_lines(sure: np.ndarray, contrast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both, float32 [h, w], less what printed lines have of the contrast, along both directions."""
    lines = np.maximum(_along_rows(contrast), _along_rows(contrast.T).T)
    return np.maximum(sure - 1.3 * lines, 0), np.maximum(contrast - 1.3 * lines, 0)


def _along_rows(contrast: np.ndarray) -> np.ndarray:
    """What nearly horizontal printed lines have of the contrast; float32 [h, w]."""
    from scipy import ndimage

    height, width = contrast.shape
    # Pixels side by side are taken together: a line is long, and noise is less.
    padded = np.pad(contrast, ((0, 0), (0, -width % _TOGETHER)), mode="edge")
    pooled = padded.reshape(height, -1, _TOGETHER).mean(axis=2)
    # Strokes of a pen are wider than printed lines, and stay.
    thin = pooled - ndimage.grey_opening(pooled, (_WIDEST_LINE, 1))
    columns = np.arange(thin.shape[1])
    rows = (np.arange(height)[:, None] + np.round(columns * _slope(thin)).astype(int)) % height
    straight = ndimage.maximum_filter1d(thin[rows, columns], 3, axis=0)
    # The longest run that is nowhere fainter: writing crosses lines, and makes them darker only.
    run = ndimage.grey_opening(straight, (1, max(3, round(0.5 * thin.shape[1]))))
    back = np.zeros_like(run)
    back[rows, columns] = run
    back = ndimage.maximum_filter1d(back, 3, axis=0)
    return np.asarray(np.repeat(back, _TOGETHER, axis=1)[:, :width])


def _slope(image: np.ndarray) -> float:
    """Rows a column that nearly horizontal lines fall: with which the rows, sheared back, differ most."""
    height, width = image.shape
    columns = np.arange(0, width, 2)
    clipped = np.minimum(image, 0.15)

    def steepest(degrees: np.ndarray) -> float:
        slopes = np.tan(np.radians(degrees)) * _TOGETHER
        shifts = np.round(columns * slopes[:, None]).astype(int)
        rows = (np.arange(0, height, 2)[:, None] + shifts[:, None, :]) % height
        spreads = clipped[rows, columns].mean(axis=2).var(axis=1)
        return float(degrees[spreads.argmax()])

    roughly = steepest(np.arange(-12, 12.1, 1.0))
    return float(np.tan(np.radians(steepest(roughly + np.array([-0.5, 0, 0.5])))) * _TOGETHER)
