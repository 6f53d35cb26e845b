"""A document as Markdown that GitHub shows. No torch here.

Names come from other people's runs: whatever Markdown, HTML or GitHub would act on is written so that it
shows as it is.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from bakeoff.report.lab.document import (
    TODO,
    Block,
    Code,
    Document,
    Grid,
    Heading,
    Items,
    Paragraph,
    Picture,
    ToDo,
    numbered,
)
from bakeoff.text import printable

# A sign before which a backslash is enough, and those that need to be written as an entity.
_BACKSLASH = re.compile(r"[\\`*\[\]|~^]")
_ENTITY = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
# An underscore inside of a word is one; a colon after a scheme, or around a word, makes a link or a picture.
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_COLON = re.compile(r":(?=//|[\w+-]+:)")
_WWW = re.compile(r"\b(www)\.", re.IGNORECASE)
# At the start of a line: a list, a heading, a rule, a quotation, the line below a heading.
_LINE_START = re.compile(r"^(\d{1,9}(?=[.)]))?([-+#=.)!])")


def escaped(text: str, *, begins_line: bool = False) -> str:
    """A text of anybody's, on one line, as Markdown that shows it."""
    text = " ".join(printable(text).split())
    text = "".join(_ENTITY.get(letter, letter) for letter in text)
    text = _BACKSLASH.sub(lambda found: f"\\{found[0]}", text)
    text = _OUTER_UNDERSCORE.sub(r"\\_", text)
    text = _WWW.sub(r"\1&#46;", _COLON.sub("&#58;", text)).replace("@", "&#64;")
    if begins_line:
        text = _LINE_START.sub(lambda found: f"{found[1] or ''}\\{found[2]}", text)
    return text


def as_markdown(document: Document, folder: str) -> str:
    """The whole file; pictures are named by their path, in `folder` beside the file."""
    lines = [f"# {escaped(document.title)}", ""]
    for block, name in numbered(document.blocks):
        lines += [*_lines(block, name, folder), ""]
    return "\n".join(lines).rstrip() + "\n"


def _lines(block: Block, name: str, folder: str) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"{'#' * level} {escaped(text)}"
        case Paragraph(text):
            yield escaped(text, begins_line=True)
        case Items(texts):
            yield from (f"* {escaped(text, begins_line=True)}" for text in texts)
        case ToDo(text):
            yield f"> **{TODO}** {escaped(text)}"
        case Code(lines):
            yield from _code(lines)
        case Picture(file, _, caption, described, _):
            yield f"![{escaped(described)}]({_address(folder)}/{file}.png)"
            yield ""
            yield f"*{name}: {escaped(caption)}*"
        case Grid():
            yield from _table(block, name)


def _code(lines: Sequence[str]) -> Iterator[str]:
    shown = [printable(line) for line in lines]
    longest = max((len(found) for line in shown for found in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}text"
    yield from shown
    yield fence


def _table(grid: Grid, name: str) -> Iterator[str]:
    yield f"*{name}: {escaped(grid.caption)}*"
    yield ""
    yield _row([escaped(title) for title in grid.titles])
    yield (
        "|" + "|".join(" --- " if place < grid.texts else " ---: " for place in range(len(grid.titles))) + "|"
    )
    for place, row in enumerate(grid.rows):
        cells = [_indented(cell) for cell in row]
        is_total = grid.has_total and place == len(grid.rows) - 1
        yield _row([f"**{cell}**" if is_total and cell else cell for cell in cells])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _indented(cell: str) -> str:
    """Spaces that a cell begins with show."""
    inner = cell.lstrip(" ")
    return "&emsp;" * (len(cell) - len(inner)) + escaped(inner)


def _address(folder: str) -> str:
    """A folder's name in a link: what is no plain letter by its bytes."""
    return quote(folder, errors="surrogateescape")
