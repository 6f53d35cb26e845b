"""Command lines of the commands: argparse with our one-line errors; completion asks it too. No torch here."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

from bakeoff.errors import ConfigError, nearest
from bakeoff.terminal import COLOUR_CHOICES, broken, line_width

_WIDEST_HELP, _NARROWEST_HELP = 100, 30  # columns; longer lines are hard to read
_WIDTH_IN_A_PIPE = 80
_CONTINUES = " " * 8  # a line of a help text that begins so belongs to the one above
# Values as other programs call them.
_OTHER_CHOICES = {
    "md": "markdown", "tex": "latex", "txt": "table", "text": "table", "js": "json", "yes": "always",
    "no": "never", "on": "always", "off": "never", "true": "always", "false": "never",
}  # fmt: skip


def help_width() -> int:
    """Columns of a help text: those of the terminal, and 80 in a pipe. $COLUMNS wins."""
    return max(_NARROWEST_HELP, min(_WIDEST_HELP, line_width(sys.__stdout__) or _WIDTH_IN_A_PIPE))


def laid_out(text: str, width: int) -> str:
    """A help text in so many columns, broken at words.

    Lines of a paragraph are joined; an indented line stays a line of its own, and what does not fit stands
    below its second column, if it has two.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        joins = line.startswith(_CONTINUES) or not line.startswith(" ")
        if lines and lines[-1] and line and joins and not lines[-1].endswith(":"):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(broken(line, width, _hanging(line, width)) for line in lines)


def entry(term: str, meaning: str, column: int, width: int) -> str:
    """A term and what it means from a column on; below the term where that is too long."""
    start = f"  {term}"
    if not meaning:
        return start
    first = start.ljust(column) if len(start) + 2 <= column else f"{start}\n{' ' * column}"
    lines = first.split("\n")
    lines[-1] = broken(lines[-1] + meaning, width, " " * column)
    return "\n".join(lines)


def _hanging(line: str, width: int) -> str:
    two = re.match(r" +\S.*?\s{2,}(?=\S)", line)
    if two and two.end() < width / 2:
        return " " * two.end()
    if line.startswith(" "):
        return " " * (len(line) - len(line.lstrip()) + 4)
    return "  " if re.match(r"[a-z ]+: ", line) else ""  # of a list such as "exit codes: 0 done; ..."


class _Help(argparse.RawDescriptionHelpFormatter):
    """Descriptions keep their indented lines, and all of it fits."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=help_width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - its signature
        return laid_out(text, width)


class Parser(argparse.ArgumentParser):
    """Raises instead of printing its usage and leaving the process.

    Attributes:
        rest: reads the words that this one does not know, where a command leaves them to Hydra.
        suggestions: by an option's `dest`, values to offer at a TAB though others are allowed as well.
    """

    rest: argparse.ArgumentParser | None = None
    suggestions: Mapping[str, Sequence[str]] = MappingProxyType({})

    def format_help(self) -> str:
        """As argparse has it, in our layout whatever formatter a command names."""
        self.formatter_class = _Help
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Called by argparse for what it cannot parse.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{message}{_meant_choice(message) or f'; see {self.prog} --help'}")


def _meant_choice(message: str) -> str:
    """The value that argparse's text of a wrong choice is likely to have meant."""
    found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message)
    if not found:
        return ""
    value, allowed = found[1].lower(), re.findall(r"[\w-]+", found[2])
    other = _OTHER_CHOICES.get(value, value)
    return f"; did you mean {other}?" if other in allowed else nearest(value, allowed)


def add_colour(parser: argparse.ArgumentParser) -> None:
    """The option that `terminal.wants_colour` takes."""
    parser.add_argument(
        "--color",
        choices=COLOUR_CHOICES,
        default="auto",
        help="colours; auto: on a terminal, if the environment variables NO_COLOR and FORCE_COLOR do not say "
        "otherwise",
    )
