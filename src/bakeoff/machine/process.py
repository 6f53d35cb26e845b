"""A process that is bakeoff's alone, from its first line to its exit code. No torch here."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from bakeoff.machine import environment, signals
from bakeoff.machine.waiting import doing


def run_process(command: Callable[[], int]) -> NoReturn:
    """Runs a command as this process and ends it with the command's exit code."""
    signals.own_process()
    environment.prepare()
    code = command()
    signals.ignore_until_exit()
    gc.freeze()  # else Python looks for garbage twice while it ends, among all that torch has made
    sys.exit(code)


@contextmanager
def loading_torch() -> Iterator[None]:
    """Around imports that load torch: says so to a person who waits."""
    with doing("loading torch"), loading():
        yield


@contextmanager
def loading() -> Iterator[None]:
    """Around imports of large libraries: no garbage is looked for.

    What modules make stays, and Python would look through all of it again and again as it grows.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if signals.owns_process():
            gc.freeze()  # nor is it looked through later; what a notebook has made is left alone
        if was_enabled:
            gc.enable()
