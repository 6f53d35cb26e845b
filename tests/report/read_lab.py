"""What a reader sees of a lab report, by parsers of others: blocks as (kind, text)."""

import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt

_BLOCKS = ("h1", "h2", "h3", "p", "li", "th", "td", "pre", "figcaption", "title")
# All that the writers make; anything else came out of somebody's name.
MADE = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "ul", "li", "blockquote", "strong",
    "pre", "code", "figure", "figcaption", "em", "img", "div", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.blocks: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(f"{tag}.{name}", value) for name, value in attrs]
        if tag in _BLOCKS:
            self._open.append(tag)
            self._text = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS and self._open and self._open[-1] == tag:
            self._open.pop()
            text = " ".join(self._text.replace("\N{EM SPACE}", "").split())
            if text:
                self.blocks.append((tag, text))
            self._text = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self._text += data


def read_html(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def read_markdown(text: str) -> Reader:
    """As GitHub's Markdown, raw HTML included: whatever a name smuggles in becomes a tag."""
    return read_html(MarkdownIt("commonmark").enable("table").render(text))


def texts(reader: Reader) -> list[str]:
    """The words of a report in their order, whichever way it was written."""
    return [text for kind, text in reader.blocks if kind != "title"]


def tables(text: str) -> dict[str, list[list[str]]]:
    """Caption -> rows of cells, of a Markdown report as its source has them; the first row has the titles."""
    found: dict[str, list[list[str]]] = {}
    caption = ""
    for line in text.splitlines():
        if match := re.match(r"\*Table \d+: (.*)\*$", line):
            caption = match[1]
            found[caption] = []
        elif line.startswith("|") and not line.startswith("| ---"):
            cells = [re.sub(r"\\(.)", r"\1", cell.strip(" *")) for cell in line.strip("|").split(" | ")]
            found[caption].append([cell.replace("&lt;", "<").replace("&emsp;", "  ") for cell in cells])
    return found
