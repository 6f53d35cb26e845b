"""Images as read from a source -> a data set of three splits, with the classes and limits of a config."""

import numpy as np

from bakeoff.config.schema import DataConfig
from bakeoff.data.selection import select, stratified
from bakeoff.data.splits import DataSet, Pool
from bakeoff.errors import DataError


def with_validation_share(
    config: DataConfig, class_names: tuple[str, ...], pool: Pool, test_pool: Pool, notes: tuple[str, ...] = ()
) -> DataSet:
    """Holds back `data.val_fraction` of the training images, each class in proportion.

    Args:
        config: the section `data`.
        class_names: by the numbers that the pools have for them.
        pool: the training images.
        test_pool: the test images, all of them.
        notes: what a user should know of the files.

    Raises:
        DataError: too few images to hold any back.
        ConfigError: classes or a number of images that the data set does not have.
    """
    kept, held = stratified(pool.labels, config.val_fraction)
    if config.val_fraction > 0 and len(held) == 0:
        raise DataError(
            f"data.root={config.root}: too few images for data.val_fraction={config.val_fraction}"
        )
    everything = np.arange(len(test_pool.labels))
    return with_stored_split(
        config, class_names, (pool, kept), held if len(held) else None, (test_pool, everything), notes
    )


def with_stored_split(
    config: DataConfig,
    class_names: tuple[str, ...],
    train: tuple[Pool, np.ndarray],
    val: np.ndarray | None,
    test: tuple[Pool, np.ndarray],
    notes: tuple[str, ...] = (),
) -> DataSet:
    """Gathers each split once, from the positions int64 that belong to it.

    Args:
        config: the section `data`.
        class_names: by the numbers that the pools have for them.
        train: the training images, and the positions of those to train with.
        val: positions among the training images; None for no validation.
        test: the test images, and the positions of those to test with.
        notes: what a user should know of the files.

    Raises:
        ConfigError: classes or a number of images that the data set does not have.
    """
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
