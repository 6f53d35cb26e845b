"""What the report needs beside bakeoff's own libraries: the extra `report`."""

import importlib.util
from collections.abc import Sequence

from bakeoff.errors import ConfigError

# What is imported -> what is installed.
_LIBRARIES = {
    "altair": "altair",
    "vl_convert": "vl-convert-python",
    "jinja2": "jinja2",
    "torchinfo": "torchinfo",
}


def missing() -> list[str]:
    """Libraries of the extra that are not installed, as pip calls them."""
    return [name for module, name in _LIBRARIES.items() if importlib.util.find_spec(module) is None]


def check_installed() -> None:
    """Asks for all of the extra at once, before anything is read.

    Raises:
        ConfigError: some of it is missing.
    """
    if names := missing():
        raise ConfigError(f"a report needs the extra bakeoff[report]: {how_to_install(names)}")


def how_to_install(names: Sequence[str]) -> str:
    """The command for what is missing, by name: it works from a checkout and from a wheel alike."""
    return f"pip install {' '.join(names)}"
