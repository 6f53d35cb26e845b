"""Four settings on 300 images by a recipe of whole numbers, whose statistics were worked out by others."""

import numpy as np

CLASSES = 10
IMAGES = np.arange(300)
LABELS = (7 * IMAGES + IMAGES // 10) % CLASSES
RUNS = {"A": (0, 3, 14), "B": (1, 2, 16), "C": (2, 5, 34), "D": (3, 1, 22)}  # setting, runs, level


def probabilities_of(setting: str, run: int) -> np.ndarray:
    """Whole-number recipe of the worked examples, float64 [300, 10]."""
    s, _, level = RUNS[setting]
    i, r = IMAGES, run
    hard, own = (i**2 + 31 * i) % 97, (i * (2 * s + 3) + 5 * s) % 53
    luck = (i * (11 + 2 * r) + 17 * r + 29 * s) % 61
    right = hard + own // 2 + luck // 3 >= level + 2 * ((r * (s + 1)) % 4)
    p_true = np.where(right, (60 + 3 * ((i + r) % 13)) / 100, (3 + 2 * ((i + 2 * r) % 7)) / 100)
    other = np.where(right, (LABELS + 1) % CLASSES, (LABELS + 1 + i % 3) % CLASSES)
    rows = np.zeros((300, CLASSES))
    rows[i, LABELS] = p_true
    rows[i, other] = 1 - p_true
    if setting == "D":
        rows[[0, 150]] = 0
    return rows
