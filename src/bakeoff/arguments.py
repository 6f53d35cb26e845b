"""Command lines of the commands: argparse with our one-line errors; completion asks it too. No torch here."""

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

from bakeoff.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage and leaving the process.

    Attributes:
        rest: reads the words that this one does not know, where a command leaves them to Hydra.
        suggestions: by an option's `dest`, values to offer at a TAB though others are allowed as well.
    """

    rest: argparse.ArgumentParser | None = None
    suggestions: Mapping[str, Sequence[str]] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        """Called by argparse for what it cannot parse.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{message}; see {self.prog} --help")
