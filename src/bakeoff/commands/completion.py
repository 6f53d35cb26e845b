"""Completion by TAB: what the word being typed can become. No torch here.

`eval "$(bakeoff -sc install=bash)"` installs it; the options and words are Hydra's. Its own script
works for files with `@hydra.main` alone, and its own candidates hold keys that bakeoff refuses, so
both are ours; what a config holds is asked of Hydra's loader, what a command takes of its parser.
"""

import argparse
import importlib
import io
import os
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.commands.completed_overrides import overrides
from bakeoff.commands.shells import SCRIPTS, SHELLS
from bakeoff.errors import OK, ConfigError, nearest
from bakeoff.runs.folders import sweep_dirs
from bakeoff.runs.locate import find_run_dirs, outputs_root

PROGRAM_OPTIONS = ("--help", "--version")  # of `bakeoff` without a command
# What a parser calls a word that names a run or a sweep.
RUN_WORDS, SWEEP_WORDS = {"RUN", "PATH"}, {"SWEEP", "PATH"}
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
        return [text for text in overrides(command, parser, given, word) if _PLAIN.fullmatch(text)]
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
