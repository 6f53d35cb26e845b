"""Finds the command lines of the documents and of the help texts."""

import importlib
import re
from pathlib import Path
from typing import NamedTuple

from bakeoff.cli import COMMANDS

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]


class CodeLine(NamedTuple):
    """A line of code in a document, without its prompt, and the line below it."""

    text: str
    below: str


def code_lines(text: str) -> list[CodeLine]:
    """Lines of indented and of fenced blocks, and what stands in backticks within the prose."""
    lines = text.splitlines()
    fenced, found = False, []
    for line, below in zip(lines, [*lines[1:], ""], strict=False):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            found.append(CodeLine(line.strip().removeprefix("$ "), below.strip()))
        else:
            found += [CodeLine(span.strip(), "") for span in re.findall(r"`([^`]+)`", line)]
    return found


def bakeoff_line(line: CodeLine) -> CodeLine | None:
    """The call of bakeoff in a line: the line itself, or what it hands to another program."""
    within = re.search(r"\$\((bakeoff [^)]*)\)", line.text)
    text = within[1] if within else line.text.partition(" | ")[0]
    return CodeLine(text, line.below) if re.match(r"bakeoff (-|[a-z]|COMMAND)", text) else None


def help_texts() -> list[str]:
    """The examples of `bakeoff --help` and of the commands' own help, as lines of code."""
    from bakeoff.cli import _HELP

    parsers = [importlib.import_module(f"bakeoff.commands.{name}").parser() for name in COMMANDS]
    texts = [_HELP, *(parser.epilog or "" for parser in parsers)]
    return [re.sub(r"^(?:example:)? *(?=bakeoff |eval )", "    ", text, flags=re.MULTILINE) for text in texts]


def all_bakeoff_lines() -> list[CodeLine]:
    """Each once, in the order of the documents; where one stands twice, with what its documents say of it."""
    found: dict[str, CodeLine] = {}
    for text in [*(path.read_text() for path in DOCUMENTS), *help_texts()]:
        for line in filter(None, map(bakeoff_line, code_lines(text))):
            bare = re.sub(r"\s{2,}(#.*)?$|\s+#\s.*$", "", line.text)
            found.setdefault(bare, CodeLine(bare, line.below))
    return list(found.values())
