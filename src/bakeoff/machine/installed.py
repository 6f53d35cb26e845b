"""Libraries of an extra: which are not installed, and how to install them. No torch here."""

import importlib.util
from collections.abc import Mapping, Sequence

from bakeoff.errors import ConfigError


def missing(libraries: Mapping[str, str]) -> list[str]:
    """Libraries that are not installed, as pip calls them.

    Args:
        libraries: what is imported -> what is installed.
    """
    return [name for module, name in libraries.items() if importlib.util.find_spec(module) is None]


def check_installed(libraries: Mapping[str, str], extra: str, what: str) -> None:
    """Asks for all of an extra at once, before anything is done.

    Args:
        libraries: what is imported -> what is installed.
        extra: its name.
        what: that needs it, for the error's text.

    Raises:
        ConfigError: some of it is missing.
    """
    if names := missing(libraries):
        raise ConfigError(f"{what} needs the extra bakeoff[{extra}]: {how_to_install(names)}")


def how_to_install(names: Sequence[str]) -> str:
    """The command for what is missing, by name: it works from a checkout and from a wheel alike."""
    return f"pip install {' '.join(names)}"
