"""Completion by TAB: what the word being typed can become. No torch here.

`eval "$(bakeoff -sc install=bash)"` installs it; the options and words are Hydra's. Its own script
works for files with `@hydra.main` alone, and its own candidates hold keys that bakeoff refuses, so
both are ours; what a config holds is asked of Hydra's loader, what a command takes of its parser.
"""

import argparse
import dataclasses
import importlib
import io
import os
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from bakeoff.arguments import Parser
from bakeoff.commands.shells import SCRIPTS, SHELLS
from bakeoff.data.sets import set_names
from bakeoff.errors import OK, ConfigError, nearest
from bakeoff.runs.folders import sweep_dirs
from bakeoff.runs.locate import find_run_dirs, outputs_root

if TYPE_CHECKING:
    from omegaconf import DictConfig

PROGRAM_OPTIONS = ("--help", "--version")  # of `bakeoff` without a command
# What a parser calls a word that names a run or a sweep.
RUN_WORDS, SWEEP_WORDS = {"RUN", "PATH"}, {"SWEEP", "PATH"}
PATH_KEYS = ("output_dir", "data.root")
SET_KEY = "data.name"  # its values are names of files, which no type lists
# Values of keys whose type is any text.
_OF_OPEN_TYPES = {
    "tune.metric": ("val.accuracy", "val.macro_f1", "val.nll", "latency", "parameters", "flops", "memory"),
    "tune.storage": ("sqlite", "journal"),
}

USAGE = "-sc install=SHELL, uninstall=SHELL or query=SHELL, where SHELL is bash, zsh or fish"
# No shell acts on these: names come from other people's folders and files.
_PLAIN = re.compile(r"\w[\w@%+=:,./-]*", re.ASCII)


def complete(words: Sequence[str], commands: Sequence[str]) -> int:
    """Prints a shell's script, or the candidates for the command line in $COMP_LINE.

    Args:
        words: what `bakeoff` was called with, such as `-sc install=bash`, without a command.
        commands: the commands there are.

    Raises:
        ConfigError: an unknown action or shell.
    """
    action, shell = _request(words)
    if action != "query":
        print(SCRIPTS[action][shell], end="")
        return OK
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    line = line[: int(point)] if re.fullmatch("[0-9]{1,9}", point) else line
    for candidate in candidates(line, commands, outputs_root()):
        print(candidate)
    return OK


def _request(words: Sequence[str]) -> tuple[str, str]:
    """`-sc install=bash`, in either order or joined by "=" -> ("install", "bash")."""
    texts = [word.removeprefix("--shell-completion").removeprefix("-sc").removeprefix("=") for word in words]
    request = " ".join(text for text in texts if text)
    action, _, shell = request.partition("=")
    for text, allowed in ((action, (*SCRIPTS, "query")), (shell, SHELLS)):
        if text not in allowed:
            raise ConfigError(f"-sc {request}: {USAGE}{nearest(text, allowed)}")
    return action, shell


def candidates(line: str, commands: Sequence[str], root: Path) -> list[str]:
    """What the last word of a command line can become; nothing for a line that is broken.

    Never raises and prints nothing: whatever it said would stand in the user's prompt.

    Args:
        line: the line up to the cursor, with the program's name, quoted as typed.
        commands: the commands there are.
        root: where runs are looked for.
    """
    found: list[str] = []
    # argparse prints and exits; warnings go to stderr.
    with suppress(Exception, SystemExit), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # The X makes a word of the empty text after a space, and takes the place of what is escaped.
        *words, last = [word for word in shlex.split(f"{line}X")[1:] if word != "--debug"]
        word = last[:-1]
        found = [text for text in _of_word(words, word, commands, root) if text.startswith(word)]
    return sorted(set(found))


def _of_word(words: list[str], word: str, commands: Sequence[str], root: Path) -> list[str]:
    """Candidates for one word after others, some of which may begin otherwise."""
    if not words:
        return list(PROGRAM_OPTIONS if word.startswith("-") else commands)
    command, *given = words
    if command == "help" and not given:
        return list(commands)
    if command not in commands:
        return []
    # Only this command's file is imported.
    parser: Parser = importlib.import_module(f"bakeoff.commands.{command}").parser()
    option, equals, _ = word.partition("=")
    if option.startswith("--") and equals:
        return [f"{option}={value}" for value in _option_values(parser, option) or []]
    if given and (values := _option_values(parser, given[-1])) is not None:
        return list(values)
    if word.startswith("-"):
        return _options(parser)
    if parser.rest:
        return [text for text in _overrides(command, parser, given, word) if _PLAIN.fullmatch(text)]
    for action in parser._actions:
        if not action.option_strings and action.dest in parser.suggestions and not given:
            return list(parser.suggestions[action.dest])
    # Of a command that takes runs, an option such as `--yes` must be asked for by a dash.
    named = _what_words_name(parser)
    if not named & (RUN_WORDS | SWEEP_WORDS):
        return _options(parser)
    return [*(_runs(root) if named & RUN_WORDS else ()), *(_sweeps(root) if named & SWEEP_WORDS else ())]


def _options(parser: Parser) -> list[str]:
    """The long options that a parser offers. A plain `--help` is not worth a line among them."""
    own = [action for action in parser._actions if action.dest != "help"]
    rest = [] if parser.rest is None else parser.rest._actions
    shown = [action for action in (*own, *rest) if action.help != argparse.SUPPRESS]
    return [text for action in shown for text in action.option_strings if text.startswith("--")]


def _option_values(parser: Parser, option: str) -> Sequence[str] | None:
    """The values of an option, as far as they are known; None if it takes no value.

    Where there is none, as for a file, the shell offers files by itself.
    """
    for action in (*parser._actions, *(parser.rest._actions if parser.rest else ())):
        if option in action.option_strings:
            known = action.choices or parser.suggestions.get(action.dest, ())
            return None if action.nargs == 0 else [str(value) for value in known]
    return None


def _what_words_name(parser: Parser) -> set[str]:
    """What a word that is no option names: RUN, SWEEP, PATH, or several of them."""
    names = [str(action.metavar) for action in parser._actions if not action.option_strings]
    return {word for name in names for word in name.split("|")}


def _runs(root: Path) -> list[str]:
    """Names that stand for one run; where two runs share a name, a path is needed."""
    names = Counter(run.name for run in find_run_dirs(root))
    unique = [name for name, count in names.items() if count == 1 and _PLAIN.fullmatch(name)]
    return [*unique, "latest"] if names else []


def _sweeps(root: Path) -> list[str]:
    """Names of sweeps, all of which lie in one folder."""
    names = [sweep.name for sweep in sweep_dirs(root) if _PLAIN.fullmatch(sweep.name)]
    return [*names, "latest"] if names else []


def _overrides(command: str, parser: Parser, words: Sequence[str], word: str) -> list[str]:
    """Groups, keys or values for an override, in the config that the words before it compose.

    A section that the command alone has (`race`, `tune`) is completed as the others are.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.object_type import ObjectType
    from hydra.core.override_parser.types import IntervalSweep
    from hydra.types import RunMode
    from omegaconf import open_dict

    from bakeoff.config.adaptive import SECTIONS
    from bakeoff.config.compose import (
        conf_dir,
        parse_arguments,
        register_defaults,
    )
    from bakeoff.config.explain import GROUPS, options
    from bakeoff.config.overrides import parse_overrides
    from bakeoff.config.own_files import search_path

    line = parse_arguments(parser.parse_known_args(words)[1])
    # A path changes no candidate, and its `$HOME`, which the shell would have replaced, is no override.
    overrides = [text for text in line.overrides if text.partition("=")[0] not in PATH_KEYS]
    key, equals, _ = word.partition("=")
    section = SECTIONS.get(command)
    overrides = [text for text in overrides if not (section and text.startswith(f"{command}."))]
    register_defaults()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"):
        parsed = parse_overrides(overrides)
        given = search_path(line.config_dir, parsed)
        for item in parsed:  # of a sweep, as in `model=a,b`, the first value
            if not isinstance(item.value(), IntervalSweep):
                first = next(item.sweep_string_iterator()) if item.is_sweep_override() else None
                given.append(f"{item.get_key_element()}={first}" if first else item.input_line or "")
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", given, RunMode.RUN)
        if section:
            with open_dict(config):
                config[command] = dataclasses.asdict(section())
        if key == "tune.search" and section:
            return _values(config, word, options("search", line.config_dir))
        if equals:
            return _values(config, word, loader.get_group_options(key, ObjectType.CONFIG, "config", given))
        groups = loader.get_group_options("", ObjectType.GROUP, "config", given)
        return _keys(config, word, [group for group in groups if group in GROUPS])


def _keys(config: "DictConfig", word: str, groups: Sequence[str]) -> list[str]:
    """`optim.l` -> `optim.lr=`; a group ends in "=", a section in ".". Hydra's own are refused by train."""
    from omegaconf import OmegaConf

    section, dot, _ = word.rpartition(".")
    node = OmegaConf.select(config, section) if dot else config
    # A list is set as a whole, so it counts as a value.
    marks = {name: "." if OmegaConf.is_dict(value) else "=" for name, value in node.items_ex(resolve=False)}
    found = [f"{section}{dot}{name!s}{mark}" for name, mark in marks.items()]
    found += [] if dot else [f"{group}=" for group in groups]
    return [text for text in found if not text.startswith("hydra")]


def _values(config: "DictConfig", word: str, choices: Sequence[str]) -> list[str]:
    """`model=c` -> `model=cnn`; of a plain key what its type allows, if that is a list, and what it is."""
    from omegaconf import OmegaConf

    key, _, begun = word.partition("=")
    if key in PATH_KEYS or key.startswith("hydra"):
        return []
    values = list(choices)
    if not values:
        now: bool | int | float | str | None = OmegaConf.select(config, key)
        values = list(set_names()) if key == SET_KEY else [*_OF_OPEN_TYPES.get(key, ())]
        values = values or _allowed(_annotation(key))
        values += [] if now is None or isinstance(now, bool) else [str(now)]
    # In a sweep, as in `seed=0,1`, what follows the last comma is being typed.
    done, comma, _ = begun.rpartition(",")
    return [f"{key}={done}{comma}{value}" for value in values if value not in done.split(",")]


def _annotation(key: str) -> Any:
    """The type of a dotted key; None where the dataclasses say nothing, as for a model's own."""
    from bakeoff.config.adaptive import SECTIONS
    from bakeoff.config.schema import Config

    first, *rest = key.split(".")
    kind: Any = SECTIONS.get(first, Config)
    for name in rest if first in SECTIONS else (first, *rest):
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        kind = next((item.type for item in fields if item.name == name), None)
    return kind


def _allowed(kind: Any) -> list[str]:
    """The values of a closed type as an override writes them; of an open type none."""
    if kind in (bool, type(None)):
        return ["true", "false"] if kind is bool else ["null"]
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    # The branches of a union, the type inside an Annotated.
    return [value for part in get_args(kind) for value in _allowed(part)]
