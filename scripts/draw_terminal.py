"""Draws a text as a terminal shows it, colours too: standard input to an SVG of its own, without web fonts.

usage: COLUMNS=100 bakeoff compare RUNS --color always --columns n,group,accuracy,nll,parameters | \
           .venv/bin/python scripts/draw_terminal.py docs/images/quickstart.svg --title ./scripts/quickstart
"""

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100  # as wide as a page shows without scrolling
_SIGN_WIDTH = 12.2  # of rich's SVG
_SPACE = "&#160;"
_LEADING = re.compile(rf'x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>((?:{_SPACE})+)(?=[^<&])')


def draw(text: str, title: str) -> str:
    """An SVG of lines of at most 100 characters; `COLUMNS` makes the program that prints keep to them."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in text.rstrip().splitlines():
        console.print(Text.from_ansi(line), soft_wrap=True)
    console.print()  # the last line's underscores would be cut off
    svg = _LEADING.sub(_moved, console.export_svg(title=title))
    # rich asks a font server; a page must not.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def _moved(match: re.Match[str]) -> str:
    """Some programs drop the spaces that a text begins with: it begins behind them instead."""
    x, y, length, rest, spaces = match.groups()
    gap = _SIGN_WIDTH * (len(spaces) // len(_SPACE))
    return f'x="{float(x) + gap:g}" y="{y}" textLength="{float(length) - gap:g}"{rest}>'


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--title", default="bakeoff")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(draw(sys.stdin.read(), options.title))
    print(options.output)


if __name__ == "__main__":
    main()
