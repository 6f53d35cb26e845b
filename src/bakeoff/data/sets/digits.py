"""Handwritten digits that come with scikit-learn: 1,797 images of 8x8, 17 levels of grey.

Source: the test part of Alpaydin and Kaynak's "Optical Recognition of Handwritten Digits" (UCI,
1998). `digits_split.txt` stores the split, a letter for each image: t(rain), v(alidation) or
(t)e(st); 1,197, 200 and 400 images, stratified by class.
"""

from importlib.resources import files
from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import named_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Source

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet

TRAITS = Traits(has_text=True, has_ink=True, has_own_split=True)
SOURCE = Source("digits", ".", files={})
_HIGHEST_GREY = 16


def fingerprint(root: str) -> str:
    """Of the stored split's name."""
    return named_fingerprint("digits-split-v1")


def load(config: "DataConfig") -> "DataSet":
    """Takes the images from scikit-learn's own files, and the split from ours."""
    import numpy as np
    from sklearn.datasets import load_digits

    from bakeoff.data.assembly import with_stored_split
    from bakeoff.data.splits import Pool

    bunch = load_digits()
    grey = np.round(bunch.images * (255 / _HIGHEST_GREY)).astype(np.uint8)
    letters = np.array(list(files("bakeoff.data.sets").joinpath("digits_split.txt").read_text().strip()))
    assert len(letters) == len(grey)
    pool = Pool.of_grey(grey, bunch.target)
    train, val, test = (np.flatnonzero(letters == letter) for letter in "tve")
    names = tuple(str(digit) for digit in range(10))
    return with_stored_split(config, names, (pool, train), val, (pool, test))
