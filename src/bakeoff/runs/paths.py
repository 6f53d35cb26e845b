"""Paths and names of folders as people write them: `~`, empty variables, any letters. No torch here."""

import os
import re
import unicodedata
from pathlib import Path

from bakeoff.errors import ConfigError, DataError

DATA_VARIABLE, OUTPUTS_VARIABLE = "BAKEOFF_DATA", "BAKEOFF_OUTPUTS"
_MOST_CHARACTERS, _MOST_BYTES = 40, 80  # of a part of a folder's name; file systems take 255 bytes in all


def expanded(text: str) -> str:
    """A path with `~` and `~user` at its beginning replaced.

    Raises:
        ConfigError: no such user; a folder called `~name` is not what anybody means.
    """
    path = os.path.expanduser(text)
    user = path.partition("/")[0]
    if user.startswith("~") and not os.path.lexists(user):
        raise ConfigError(f"{text}: there is no user {user[1:]} here; write the folder out")
    return path


def home_path(text: str) -> Path:
    """The same as a path: what a command's parser makes of a FILE.

    Raises:
        ConfigError: no such user.
    """
    return Path(expanded(text))


def from_environment(variable: str, otherwise: str) -> Path:
    """The folder that a variable names; an empty variable is one that is not set."""
    return home_path(os.environ.get(variable) or otherwise)


def data_root_here(name: str, recorded: str) -> str:
    """The folder of a run's data: the recorded one where it is there, else that of all official sets.

    Raises:
        DataError: pictures of somebody's own are looked for nowhere else.
    """
    if Path(recorded).is_dir():
        return recorded
    if name == "image_folder":
        raise DataError(f"{recorded}: the run's pictures are not there; give --data-root DIR")
    return str(from_environment(DATA_VARIABLE, "data"))


def folder_word(text: str) -> str:
    """A title as a part of a folder's name: letters and digits of any script, dots, `_` and `-`."""
    word = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", text)).strip(".-")[:_MOST_CHARACTERS]
    return word.encode()[:_MOST_BYTES].decode(errors="ignore") or "data"
