"""Options that put this machine's places into a stored config, `--device` and `--data-root`. No torch."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from bakeoff.errors import ConfigError, DataError


@contextmanager
def options_named(options: argparse.Namespace) -> Iterator[None]:
    """Says of an error in a key that an option has set the option's name.

    Raises:
        ConfigError: as it came, or with the option.
        DataError: the same.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        given = {
            "trainer.device": ("--device", options.device),
            "data.root": ("--data-root", options.data_root),
        }
        key, _, rest = str(error).partition("=")
        option, value = given.get(key, ("", None))
        if value is None:
            raise
        raise type(error)(f"{option} {value}: {rest.partition(': ')[2]}") from error
