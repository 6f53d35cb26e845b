"""Four settings by a recipe of whole numbers, whose race was worked out by others."""

import numpy as np

VAL, TEST = np.arange(600), np.arange(5000, 6000)
SETTINGS = ("A", "B", "C", "D")
_LEVELS = (14, 15, 20, 34)


def right(setting: str, run: int, images: np.ndarray) -> np.ndarray:
    """1 where a run has an image right, float64 [n]."""
    s, i, r = SETTINGS.index(setting), images, run
    hard, own = (i**2 + 31 * i) % 97, (i * (2 * s + 3) + 5 * s) % 53
    luck = (i * (11 + 2 * r) + 17 * r + 29 * s) % 61
    enough = hard + own // 2 + luck // 3 >= _LEVELS[s] + 2 * ((r * (s + 1)) % 4)
    return np.asarray(enough, dtype=np.float64)


def values(runs: dict[str, int], images: np.ndarray) -> dict[str, np.ndarray]:
    """Of each setting its first runs, float64 [runs, n]."""
    return {
        name: np.stack([right(name, run, images) for run in range(count)]) for name, count in runs.items()
    }
