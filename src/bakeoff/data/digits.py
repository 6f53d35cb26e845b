"""Handwritten digits that come with scikit-learn: 1,797 images of 8x8, 17 levels of grey.

Source: the test part of Alpaydin and Kaynak's "Optical Recognition of Handwritten Digits" (UCI,
1998). `digits_split.txt` stores the split, a letter for each image: t(rain), v(alidation) or
(t)e(st); 1,197, 200 and 400 images, stratified by class.
"""

from importlib.resources import files

import numpy as np

from bakeoff.data.splits import Pool

CLASS_NAMES = tuple(str(digit) for digit in range(10))
_HIGHEST_GREY = 16


def read() -> tuple[Pool, np.ndarray]:
    """Loads the images from scikit-learn's own files, and the letter of each."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.round(bunch.images * (255 / _HIGHEST_GREY)).astype(np.uint8)
    letters = np.array(list(files("bakeoff.data").joinpath("digits_split.txt").read_text().strip()))
    assert len(letters) == len(grey)
    return Pool.of_grey(grey, bunch.target), letters
