"""Tables -> HTML for a notebook's cell: plain elements, which every notebook has styles for. No torch here.

Names and values come from other people's directories: all of it is escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bakeoff.comparison.open_studies import best_lines, open_studies
from bakeoff.comparison.output.captions import captions, compared_with, planned, remarks, tuned
from bakeoff.comparison.output.grid import Grid
from bakeoff.comparison.output.layout import fit, legend
from bakeoff.comparison.output.render import problem_lines
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table
from bakeoff.text import printable


def notebook_html(tables: Sequence[tuple[Table, Grid]], problems: Sequence[Problem], root: Path) -> str:
    """The same as for a terminal: tables, what they mean, and what is in none."""
    parts: list[str] = []
    for table, grid in tables:
        title, numbers = captions(table, grid.columns)
        parts += [f"<p><strong>{_text(title)}</strong><br>{_text(numbers)}</p>", _grid(grid)]
        parts += [_lines(legend(grid, fit(grid, None), None))]
        sentences, notes = remarks(table)
        heading = compared_with(table) if sentences else None
        parts += [f"<p>{_text(heading)}</p>" if heading else "", _list(sentences)]
        for heading, each in (planned(table), tuned(table)):
            parts += [f"<p>{_text(heading)}</p>", _list(each)] if heading else []
        parts += [_list(note if note.startswith("caution: ") else f"note: {note}" for note in notes)]
    if problems:
        parts += [f"<p>{'Not in the table:' if tables else 'No finished run to compare; found:'}</p>"]
        parts += [_list(problem_lines(problems, root))]
    for study in open_studies(problems):
        first, *rows = best_lines(study) or [""]
        parts += [f"<p>{_text(first)}</p>", _list(rows)] if first else []
    return "\n".join(part for part in parts if part)


def _grid(grid: Grid) -> str:
    left = [column.name == "configuration" for column in grid.columns]
    style = {True: ' style="text-align:left"', False: ' style="text-align:right"'}
    head = "".join(f"<th{style[one]}>{_text(text)}</th>" for one, text in zip(left, grid.titles, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{style[one]}>{_text(text)}</td>" for one, text in zip(left, row, strict=True))
        + "</tr>"
        for row in grid.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _list(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _lines(texts: Iterable[str]) -> str:
    lines = "<br>".join(_text(text.strip()) for text in texts)
    return f"<p>{lines}</p>" if lines else ""


def _text(text: str) -> str:
    return escape(printable(text))
