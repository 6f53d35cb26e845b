"""Data sets by name: what gate 1 asks of one, and loading. Importing this package imports no torch."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.data.sets import find_set, set_names
from bakeoff.errors import ConfigError, DataError
from bakeoff.runs.paths import DATA_VARIABLE, from_environment

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.splits import DataSet


def check(config: "DataConfig") -> None:
    """Gate 1 of the section `data`: what depends on the data set, without torch and without its files.

    Raises:
        ConfigError: a name, a key or a value that does not fit.
    """
    from bakeoff.config.schema import DataConfig

    standard, traits = DataConfig(), find_set(config.name).TRAITS
    for name in set_names():
        for key in find_set(name).TRAITS.own_keys if name != config.name else ():
            value = getattr(config, key)
            if value != getattr(standard, key):
                raise ConfigError(f"data.{key}={value}: only data={name} has it; leave the key alone")
    if traits.has_own_split and config.val_fraction != standard.val_fraction:
        raise ConfigError(
            f"data.val_fraction={config.val_fraction}: {config.name} has a stored split of its own; "
            "leave the key alone"
        )
    if config.augment.flip is True and traits.has_text:
        raise ConfigError(
            f"data.augment.flip=true: {config.name} shows digits or letters, and a mirrored digit or letter "
            "is another one or none; leave it at false, or set data.augment.flip=force"
        )
    if config.classes is not None and len(set(map(str, config.classes))) < len(config.classes):
        raise ConfigError(f"data.classes={config.classes}: a class stands twice")


def load(config: "DataConfig") -> "DataSet":
    """Loads a data set into memory: structure and labels checked, no image looked at.

    What is not there is fetched first, if it can be.

    Raises:
        DataError: missing, damaged, altered, or labels out of range.
        ConfigError: classes or a number of images that the data set does not have.
    """
    found = find_set(config.name)
    if found.SOURCE is not None and not found.SOURCE.is_complete(config.root):
        from bakeoff.data.download import download

        download(found.SOURCE, config.root)
    from bakeoff.data.splits import notes_on_missing_classes

    try:
        dataset = found.load(config)
    except DataError as error:
        is_default = Path(config.root) == from_environment(DATA_VARIABLE, "data")
        about_root = config.name == "image_folder" and str(error).startswith("data.root=")
        if not (is_default and about_root):
            raise
        raise DataError(f"{error}; give the folder of the pictures by data.root=DIR") from error
    return dataclasses.replace(dataset, notes=(*dataset.notes, *notes_on_missing_classes(dataset)))
