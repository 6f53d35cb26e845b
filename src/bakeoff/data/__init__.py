"""Data sets by name. Importing this package imports no torch; `load` does."""

from typing import TYPE_CHECKING

from bakeoff.config import DataConfig

if TYPE_CHECKING:
    from bakeoff.data.splits import DataSet


def load(config: DataConfig) -> "DataSet":
    """Loads a data set into memory: structure and labels checked, no image looked at.

    Raises:
        DataError: missing, damaged, or labels out of range.
    """
    if config.name == "digits":
        from bakeoff.data import digits

        return digits.load()
    from bakeoff.data import mnist

    return mnist.load(config)
