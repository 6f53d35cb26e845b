"""Command lines of the commands: argparse with our one-line errors. No torch here."""

import argparse
from typing import NoReturn

from bakeoff.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage and leaving the process."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for what it cannot parse.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{message}; see {self.prog} --help")
