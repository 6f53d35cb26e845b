"""Draws a text as a terminal shows it, for a page: standard input to an SVG of its own, without web fonts.

usage: bakeoff compare RUNS --columns n,group,accuracy,nll,parameters | \
           .venv/bin/python scripts/draw_terminal.py docs/images/quickstart.svg --title ./scripts/quickstart
"""

import argparse
import io
import re
import sys
import textwrap
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100  # as wide as a page shows without scrolling


def draw(text: str, title: str) -> str:
    """An SVG of lines of at most 100 characters; longer ones are wrapped between words."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in text.rstrip().splitlines():
        for part in textwrap.wrap(line, COLUMNS, break_long_words=False, replace_whitespace=False) or [""]:
            console.print(Text(part), no_wrap=True, crop=False)
    svg = console.export_svg(title=title)
    # rich asks a font server; a page must not.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


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
