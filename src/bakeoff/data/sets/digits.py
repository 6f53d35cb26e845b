"""Handwritten digits that come with scikit-learn: 1,797 images of 8x8, 17 levels of grey.

Source: the test part of Alpaydin and Kaynak's "Optical Recognition of Handwritten Digits" (UCI,
1998). `digits_split.txt` stores the split, a letter for each image: t(rain), v(alidation) or
(t)e(st); 1,197, 200 and 400 images, stratified by class.
"""

import gzip
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.data.fingerprint import named_fingerprint
from bakeoff.data.sets import Traits
from bakeoff.data.sources import Source

if TYPE_CHECKING:
    import numpy as np

    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet

TRAITS = Traits(has_text=True, has_ink=True, has_own_split=True)
SOURCE = Source("digits", ".", files={})
_HIGHEST_GREY = 16
_FILE = "datasets/data/digits.csv.gz"  # within scikit-learn


def fingerprint(root: str) -> str:
    """Of the stored split's name."""
    return named_fingerprint("digits-split-v1")


def load(config: "DataConfig") -> "DataSet":
    """Takes the images from scikit-learn's own files, and the split from ours."""
    import numpy as np

    from bakeoff.data.assembly import with_stored_split
    from bakeoff.data.splits import Pool

    images, labels = _images_and_labels()
    grey = np.round(images * (255 / _HIGHEST_GREY)).astype(np.uint8)
    letters = np.array(list(files("bakeoff.data.sets").joinpath("digits_split.txt").read_text().strip()))
    assert len(letters) == len(grey)
    pool = Pool.of_grey(grey, labels)
    train, val, test = (np.flatnonzero(letters == letter) for letter in "tve")
    names = tuple(str(digit) for digit in range(10))
    return with_stored_split(config, names, (pool, train), val, (pool, test))


def _images_and_labels() -> "tuple[np.ndarray, np.ndarray]":
    """Levels of grey float64 [n, 8, 8] and digits int64 [n], as `load_digits` gives them.

    From its file: scikit-learn's own function loads SciPy and pandas too, which takes more than a second.
    """
    import numpy as np

    package = find_spec("sklearn")  # finds it, and imports nothing
    file = Path(package.origin).parent / _FILE if package and package.origin else None
    if file is None or not file.is_file():  # another version's files may lie elsewhere
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return bunch.images, bunch.target
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        table = np.loadtxt(lines, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
