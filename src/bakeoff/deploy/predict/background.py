"""A photograph without its small bright marks: paper, table, light and shadow as they would be. No torch.

Opening by reconstruction (Vincent, Morphological grayscale reconstruction in image analysis, 1993): what is
narrower than a window goes, and what hangs together with something wider, or comes in from the border along
a long way, stays whole up to its edges. A plain opening leaves slivers wherever paper lies askew.
"""

import numpy as np
from jaxtyping import Float32
from PIL import Image

# Wider than a marker's stroke and narrower than the paper, as a share of the shorter side.
_WINDOW = 0.25
# Wider than most strokes.
_STROKE = 0.10
_LONGEST = 150  # pixels a side in which it is looked for
_EDGE_PIXELS = 3  # of those: an edge of paper is that blurred by scaling
_MOST_SWEEPS = 6


def backgrounds(
    greys: Float32[np.ndarray, "k h w"],
) -> tuple[Float32[np.ndarray, "k h w"], Float32[np.ndarray, "k h w"]]:
    """Pictures without bright marks, 0..255; for dark marks give and take 255 minus them.

    Returns:
        Those that are sure to have no slivers of table or paper as marks, but may have a stroke where that
        crosses the edge of a shadow; and those without any stroke, which may have slivers as marks.
    """
    from scipy import ndimage  # takes a while to import

    _, height, width = greys.shape
    small = np.stack([_scaled(grey, _LONGEST / max(height, width)) for grey in greys])
    window, stroke = (max(3, round(share * min(small.shape[1:]))) for share in (_WINDOW, _STROKE))
    seeds = ndimage.grey_opening(small, (1, window, window))
    for edge in (np.s_[:, 0, :], np.s_[:, -1, :], np.s_[:, :, 0], np.s_[:, :, -1]):
        # Strokes that end at the border are no way in.
        seeds[edge] = ndimage.grey_opening(small[edge], (1, window))
    sure = reconstructed(np.minimum(seeds, small), small)
    without = ndimage.grey_opening(sure, (1, stroke, stroke))
    return _at_full_size(sure, greys), _at_full_size(without, greys)


def _at_full_size(small: np.ndarray, greys: np.ndarray) -> np.ndarray:
    """Up to an edge of bright paper, and a little over it, so that the edge itself is no mark."""
    from scipy import ndimage

    size = greys.shape[:0:-1]
    over = ndimage.maximum_filter(small, (1, _EDGE_PIXELS, _EDGE_PIXELS))
    whole = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in over]
    return np.minimum(np.stack(whole), greys)


def reconstructed(
    seeds: Float32[np.ndarray, "k h w"], limit: Float32[np.ndarray, "k h w"]
) -> Float32[np.ndarray, "k h w"]:
    """The seeds of pictures spread over their neighbours as high as the limit lets them.

    By sweeps over rows and columns: a few reach everything but mazes.
    """
    found = seeds.copy()
    for _ in range(_MOST_SWEEPS):
        before = found.copy()
        # All pictures at once, a row or a column after the other.
        for axes in ((1, 0, 2), (2, 0, 1)):
            swept, limits = (np.ascontiguousarray(each.transpose(axes)) for each in (found, limit))
            lines, bounds = list(swept), list(limits)
            for down in (True, False):
                for row in range(1, len(lines)) if down else range(len(lines) - 2, -1, -1):
                    line = lines[row]
                    np.maximum(line, lines[row - 1 if down else row + 1], out=line)
                    np.minimum(line, bounds[row], out=line)
            found = swept.transpose(np.argsort(axes))
        if np.abs(found - before).max() < 1:  # of 255
            break
    return np.ascontiguousarray(found)


def _scaled(grey: np.ndarray, scale: float) -> np.ndarray:
    if scale >= 1:
        return grey.copy()
    height, width = (max(1, round(one * scale)) for one in grey.shape)
    return np.array(Image.fromarray(grey).resize((width, height), Image.Resampling.BOX))
