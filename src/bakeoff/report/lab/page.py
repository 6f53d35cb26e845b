"""A document as one HTML file that works without a network: pictures inside, no script. No torch here."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

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

_TOGETHER = re.compile(r"\[[-\d.,]+, [-\d.,]+\]|± [\d.,]+|[-+][\d.]+ to [-+][\d.]+|[\dn,]+(?: × [\d,]+)+")


def as_html(document: Document) -> str:
    """The whole file. The template escapes every text; the policy lets no script and no request through."""
    import jinja2

    folder = files("bakeoff.report.lab")
    style = "\n" + folder.joinpath("page.css").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(folder.joinpath("page.html").read_text("utf-8"))
    text: str = template.render(
        title=printable(document.title),
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        todo=TODO,
        blocks=[(_plain(block), name) for block, name in numbered(document.blocks)],
    )
    return text


def _plain(block: Block) -> dict[str, Any]:
    """What the template asks for; all texts printable."""
    match block:
        case Heading(level, text):
            return {"kind": "heading", "level": level, "text": printable(text)}
        case Paragraph(text):
            return {"kind": "paragraph", "text": printable(text)}
        case Items(texts):
            return {"kind": "items", "texts": [printable(text) for text in texts]}
        case ToDo(text):
            return {"kind": "todo", "text": printable(text)}
        case Code(lines):
            return {"kind": "code", "text": "\n".join(printable(line) for line in lines)}
        case Picture(_, png, caption, described, width):
            return {
                "kind": "picture",
                "base64": base64.b64encode(png).decode(),
                "caption": printable(caption),
                "described": printable(described),
                "width": width,
            }
        case Grid():
            return {
                "kind": "table",
                "titles": [printable(title) for title in block.titles],
                "rows": [[_cell(cell) for cell in row] for row in block.rows],
                "caption": printable(block.caption),
                "texts": block.texts,
                "has_total": block.has_total,
            }


def _cell(text: str) -> tuple[int, str]:
    """How far a cell is indented, and its text."""
    inner = text.lstrip(" ")
    # An interval, and a deviation with its sign, are not broken at their spaces.
    shown = _TOGETHER.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), printable(inner))
    return len(text) - len(inner), shown
