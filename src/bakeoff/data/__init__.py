"""Data sets by name. Importing this package imports no torch; `load` does."""

from typing import TYPE_CHECKING

from bakeoff.data.sources import SOURCES
from bakeoff.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet, Pool


def load(config: "DataConfig") -> "DataSet":
    """Loads a data set into memory: structure and labels checked, no image looked at.

    What is not there is fetched first, if it can be.

    Raises:
        DataError: missing, damaged, altered, or labels out of range.
        ConfigError: classes or a number of images that the data set does not have.
    """
    import numpy as np

    if config.name == "image_folder":
        from bakeoff.data import image_folder

        return image_folder.load(config)
    if config.name == "digits":
        from bakeoff.data import digits

        pool, letters = digits.read()
        train, val, test = (np.flatnonzero(letters == letter) for letter in "tve")
        return _assemble(config, digits.CLASS_NAMES, (pool, train), val, (pool, test), ())
    if not SOURCES[config.name].is_complete(config.root):
        from bakeoff.data.download import download

        download(config.name, config.root)
    notes: tuple[str, ...] = ()
    if config.name in ("cifar10", "cifar100", "svhn"):
        from bakeoff.data import colour_sets

        pool, test_pool, names = colour_sets.read(config)
    else:
        from bakeoff.data import idx_sets

        pool, test_pool, notes = idx_sets.read(config)
        names = idx_sets.class_names(config)
    from bakeoff.data.selection import stratified

    kept, held = stratified(pool.labels, config.val_fraction)
    if config.val_fraction > 0 and len(held) == 0:
        raise DataError(
            f"data.root={config.root}: too few images for data.val_fraction={config.val_fraction}"
        )
    everything = np.arange(len(test_pool.labels))
    return _assemble(config, names, (pool, kept), held if len(held) else None, (test_pool, everything), notes)


def _assemble(
    config: "DataConfig",
    class_names: tuple[str, ...],
    train: "tuple[Pool, np.ndarray]",
    val: "np.ndarray | None",  # positions in the pool of the training images
    test: "tuple[Pool, np.ndarray]",
    notes: tuple[str, ...],
) -> "DataSet":
    from bakeoff.data.selection import select
    from bakeoff.data.splits import DataSet

    pool, positions = train
    test_pool, test_positions = test
    chosen = select(
        config,
        class_names,
        pool.labels[positions],
        None if val is None else pool.labels[val],
        test_pool.labels[test_positions],
    )
    return DataSet(
        name=config.name,
        class_names=chosen.class_names,
        train=pool.split(positions[chosen.train], chosen.new_label),
        val=None if val is None else pool.split(val[chosen.val], chosen.new_label),
        test=test_pool.split(test_positions[chosen.test], chosen.new_label),
        notes=notes,
    )
