"""A process that is bakeoff's alone, from its first line to its exit code. No torch here."""

import sys
from collections.abc import Callable
from typing import NoReturn

from bakeoff.machine import environment, signals


def run_process(command: Callable[[], int]) -> NoReturn:
    """Runs a command as this process and ends it with the command's exit code."""
    signals.own_process()
    environment.prepare()
    code = command()
    signals.ignore_until_exit()
    sys.exit(code)
