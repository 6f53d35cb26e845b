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
    grey: Float32[np.ndarray, "h w"],
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """The picture without bright marks, 0..255; for dark marks give and take 255 minus it.

    Returns:
        One that is sure to have no slivers of table or paper as marks, but may have a stroke where that
        crosses the edge of a shadow; and one without any stroke, which may have slivers as marks.
    """
    from scipy import ndimage  # takes a while to import

    height, width = grey.shape
    small = _scaled(grey, _LONGEST / max(grey.shape))
    window, stroke = (max(3, round(share * min(small.shape))) for share in (_WINDOW, _STROKE))
    seeds = ndimage.grey_opening(small, window)
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        # Strokes that end at the border are no way in.
        seeds[edge] = ndimage.grey_opening(small[edge], window)
    sure = reconstructed(np.minimum(seeds, small), small)
    found = []
    for each in (sure, ndimage.grey_opening(sure, stroke)):
        # Up to an edge of bright paper, and a little over it, so that the edge itself is no mark.
        over = Image.fromarray(ndimage.maximum_filter(each, _EDGE_PIXELS))
        whole = np.asarray(over.resize((width, height), Image.Resampling.BILINEAR))
        found.append(np.asarray(np.minimum(whole, grey), dtype=np.float32))
    return found[0], found[1]


def reconstructed(
    seeds: Float32[np.ndarray, "h w"], limit: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    """The seeds spread over their neighbours as high as the limit lets them.

    By sweeps over rows and columns: a few reach everything but mazes.
    """
    found = seeds.copy()
    for _ in range(_MOST_SWEEPS):
        before = found.copy()
        for values, bound in ((found, limit), (found.T, limit.T)):
            # Rows that lie together in memory are swept in half of the time.
            swept, most = np.ascontiguousarray(values), np.ascontiguousarray(bound)
            lines, limits = list(swept), list(most)
            for down in (True, False):
                for row in range(1, len(lines)) if down else range(len(lines) - 2, -1, -1):
                    line = lines[row]
                    np.maximum(line, lines[row - 1 if down else row + 1], out=line)
                    np.minimum(line, limits[row], out=line)
            values[:] = swept
        if np.abs(found - before).max() < 1:  # of 255
            break
    return found


def _scaled(grey: np.ndarray, scale: float) -> np.ndarray:
    if scale >= 1:
        return grey.copy()
    height, width = (max(1, round(one * scale)) for one in grey.shape)
    return np.array(Image.fromarray(grey).resize((width, height), Image.Resampling.BOX))
