"""What the report needs beside bakeoff's own libraries: the extra `report`."""

from bakeoff.machine import installed
from bakeoff.machine.installed import how_to_install as how_to_install  # noqa: PLC0414 - asked for here

# What is imported -> what is installed.
_LIBRARIES = {
    "altair": "altair",
    "vl_convert": "vl-convert-python",
    "jinja2": "jinja2",
    "torchinfo": "torchinfo",
}


def missing() -> list[str]:
    """Libraries of the extra that are not installed, as pip calls them."""
    return installed.missing(_LIBRARIES)


def check_installed() -> None:
    """Asks for all of the extra at once, before anything is read.

    Raises:
        ConfigError: some of it is missing.
    """
    installed.check_installed(_LIBRARIES, "report", "a report")
