"""What a search needs beside bakeoff's own libraries: the extra `tune`. No torch here."""

from bakeoff.machine import installed

# What is imported -> what is installed.
_LIBRARIES = {"optuna": "optuna", "cmaes": "cmaes"}


def missing() -> list[str]:
    """Libraries of the extra that are not installed, as pip calls them."""
    return installed.missing(_LIBRARIES)


def check_installed() -> None:
    """Asks for all of the extra at once, before anything is read.

    Raises:
        ConfigError: some of it is missing.
    """
    installed.check_installed(_LIBRARIES, "tune", "bakeoff tune")
