"""Gate 1: the shared sections of a config, each alone and against each other. No torch, no data here."""

from typing import Any

from bakeoff import data
from bakeoff.config import schema
from bakeoff.config.schema import Config
from bakeoff.data.sets import find_set


def check_shared(values: dict[str, Any]) -> Config:
    """Parses the shared sections; the section `model` is left to gate 2.

    Raises:
        ConfigError: for the first thing that is not allowed.
    """
    config = schema.parse(values)
    data.check(config.data)
    # A folder of the user's may bring validation images of its own: gate 3 knows.
    if config.data.val_fraction == 0 and not find_set(config.data.name).TRAITS.may_bring_val:
        schema.check_without_validation(config.trainer)
    schema.check_training(config)
    return config
