"""What a function is given, as the words of a command line. No torch here."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.config.compose import CommandLine, parse_arguments, with_file
from bakeoff.config.config_file import written
from bakeoff.config.explain import GROUPS
from bakeoff.errors import ConfigError, nearest
from bakeoff.runs.paths import expanded

SWEEP = "bakeoff.sweep trains with each, with the same words"
_OWN = ("quiet", "config", "config_dir")  # arguments of the functions
_SHARED = ("seed", "output_dir", "sweep", "experiment", "model", "data", "optim", "trainer")
_TWO = re.compile(r"([\w.]+=[^\s'\"\[{(]+)\s+([\w.]+=\S.*)")


def command_line(
    overrides: Sequence[object],
    keys: Mapping[str, Any],
    config: "str | Path | None",
    config_dir: "str | Path | None",
    *,
    sweeps: bool,
) -> CommandLine:
    """The command line of `bakeoff train` that means the same.

    Args:
        overrides: as on a command line, such as `optim.lr=0.1`.
        keys: values by their keys; sections may be nested. With `sweeps` a list is several values.
        config: a YAML file, or a run directory.
        config_dir: a folder of config files of one's own.
        sweeps: whether it is one of several runs.

    Raises:
        ConfigError: an option of the command among the overrides, or what it would refuse.
    """
    for word in overrides:
        _check(word)
    for name, value in keys.items():
        if not sweeps and name in ("seed", *GROUPS) and isinstance(value, list | tuple | range):
            raise ConfigError(f"{name}={value}: a list is several values; {SWEEP}")
        if name not in GROUPS and name not in _SHARED and (meant := nearest(name, _OWN)):
            raise ConfigError(f"{name}: no argument and no key{meant}")
    words = [*map(str, overrides), *_words(keys, "", sweeps=sweeps)]
    options = ["--multirun"] if sweeps else []
    if config_dir is not None:
        options += ["--config-dir", str(config_dir)]
    line = parse_arguments([*options, *words])
    return line if config is None else with_file(line, expanded(str(config)))


def _check(word: object) -> None:
    """Whether it is one override.

    Raises:
        ConfigError: an option of the command, or no text, or two overrides.
    """
    if not isinstance(word, str):
        raise ConfigError(f'{type(word).__name__}: give texts such as "optim.lr=0.1", or keys as in seed=1')
    if word in ("-m", "--multirun"):
        raise ConfigError(f"{word}: {SWEEP}")
    if word.startswith("-"):
        raise ConfigError(f"{word}: options of the command are arguments here, as config_dir=DIR")
    if found := _TWO.match(word):
        raise ConfigError(f'{word}: give each as a text of its own: "{found[1]}", "{found[2]}"')


def _words(keys: Mapping[str, Any], prefix: str, *, sweeps: bool) -> list[str]:
    words = []
    for name, value in keys.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            words += _words(value, f"{key}.", sweeps=sweeps)
        elif sweeps and isinstance(value, list | tuple | range):
            words.append(f"{key}={','.join(_value(key, each) for each in value)}")
        else:
            words.append(f"{key}={_value(key, value)}")
    return words


def _value(key: str, value: Any) -> str:
    if key in GROUPS:
        return str(value)  # the name of a file, which Hydra takes without quotes
    return written(_plain(key, value))


def _plain(key: str, value: Any) -> Any:
    """NumPy's numbers, paths and tuples as what a config may hold."""
    if isinstance(value, list | tuple | range):
        return [_plain(key, each) for each in value]
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)
    value = item() if callable(item) and getattr(value, "ndim", None) == 0 else value
    if value is not None and not isinstance(value, bool | int | float | str | Mapping):
        raise ConfigError(f"{key}: a {type(value).__name__}; give a number, a text, true or false, or a list")
    return value
