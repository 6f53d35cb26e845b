"""What a terminal shows: whether colour is wanted, how wide a line may be, text broken between words.

Nothing that acts on a terminal goes into a pipe or a file unless somebody asks for it. No torch here.
"""

import os
import re
from collections.abc import Iterable
from typing import TextIO

COLOUR_CHOICES = ("auto", "always", "never")
_STYLES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35",
    "cyan": "36",
}  # fmt: skip
_NARROWEST = 20  # columns; no sentence is shown in less
_USUAL_WIDTH = 80  # of a terminal that does not say how wide it is
_UNIT = re.compile(r"(?<=\d) (?=(%|points?\b))")
_KEPT_SPACE = "\N{NO-BREAK SPACE}"


def wants_colour(stream: TextIO | None, choice: str = "auto") -> bool:
    """Whether text for a stream is coloured.

    `always` and `never` decide. Else the environment does, by the conventions of no-color.org,
    force-color.org and bixense.com/clicolors; else whether the stream is a terminal that knows colours.
    """
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sees what is written to it; a closed stream is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def line_width(stream: TextIO | None) -> int | None:
    """Columns of `$COLUMNS`, which counts in a pipe too, or of the terminal; None: a line may be long."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if stream is None or not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
    except (OSError, ValueError):
        return _USUAL_WIDTH


def screen_width(stream: TextIO | None) -> int | None:
    """Columns for what is told while something goes on: in a pipe, where it is a record, lines stay whole."""
    width = line_width(stream) if is_terminal(stream) else None
    return None if width is None else max(_NARROWEST, width)


def painted(text: str, style: str, colour: bool) -> str:
    """A text in the styles of a list such as "bold green", if there is colour; spaces around it are not."""
    inner = text.strip(" ")
    if not colour or not style or not inner:
        return text
    before, _, after = text.partition(inner)
    codes = ";".join(_STYLES[word] for word in style.split())
    return f"{before}\x1b[{codes}m{inner}\x1b[0m{after}"


def wrapped(text: str, width: int | None, indent: str = "", first: str | None = None) -> list[str]:
    """Lines of whole words; one that is wider than a line stands alone, and a number stays with its unit.

    Args:
        text: words with spaces between.
        width: columns of a line; None leaves the text one line.
        indent: what every line begins with.
        first: what the first line begins with instead.
    """
    first = indent if first is None else first
    if width is None:
        return [first + text]
    return filled(_UNIT.sub(_KEPT_SPACE, text).split(" "), width, indent, first)


def broken(text: str, width: int | None, indent: str = "  ") -> str:
    """Each line of a text as `wrapped` has it; what follows a break is indented."""
    return "\n".join(part for line in text.split("\n") for part in wrapped(line, width, indent, ""))


def filled(parts: Iterable[str], width: int | None, indent: str = "", first: str | None = None) -> list[str]:
    """Lines of whole parts with a space between, where `wrapped` would break the parts too."""
    lines: list[str] = []
    line, has_part = (indent if first is None else first), False
    for part in parts:
        if not part and lines and not has_part:
            continue  # the second of two spaces, where a line was broken
        if has_part and width is not None and columns_of(line) + 1 + columns_of(part) > width:
            lines.append(line.rstrip(" "))
            line, has_part = indent, False
        line += (" " if has_part else "") + part
        has_part = True
    return [whole.replace(_KEPT_SPACE, " ") for whole in [*lines, line]]


def padded(text: str, width: int, *, right: bool) -> str:
    """A text with as many spaces as fill the columns; East Asian signs take two."""
    spaces = " " * (width - columns_of(text))
    return spaces + text if right else text + spaces


def columns_of(text: str) -> int:
    """How many columns a text takes; East Asian signs take two, combining signs none."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len  # a fifth of the time of --version, and few texts need it

    return cell_len(text)
