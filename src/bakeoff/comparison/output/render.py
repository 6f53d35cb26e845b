"""Tables -> text for a terminal or for Markdown. No torch here.

Names and values come from other people's directories: control characters never reach a terminal, and what
Markdown would act on is escaped.
"""

from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparison.open_studies import as_told, best_lines, open_studies
from bakeoff.comparison.output.captions import captions, compared_with, planned, remarks, tuned
from bakeoff.comparison.output.grid import Grid
from bakeoff.comparison.output.layout import draw, fit, legend
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table
from bakeoff.terminal import painted, wrapped
from bakeoff.text import printable

Tables = Sequence[tuple[Table, Grid]]


def relative(path: Path, root: Path) -> str:
    """A run's path as seen from the searched root."""
    try:
        inside = path.relative_to(root)
    except ValueError:
        return str(path)
    return str(inside) if inside.parts else path.name


def problem_lines(problems: Sequence[Problem], root: Path) -> list[str]:
    """What is not in a table and why; the queued runs of a folder are one line."""
    return [_problem_line(problem, root) for problem in as_told(problems)]


def _problem_line(problem: Problem, root: Path) -> str:
    return printable(f"{relative(problem.path, root)}: {problem.reason}")


def terminal(
    tables: Tables, problems: Sequence[Problem], root: Path, width: int | None = None, *, colour: bool = False
) -> str:
    """For people, at a terminal or in a pipe; a width of None leaves every row and sentence one line."""
    lines: list[str] = []
    for table, grid in tables:
        fitted = fit(grid, width)
        title, numbers = captions(table, fitted.columns)
        lines += [
            *(painted(line, "bold", colour) for line in wrapped(title, width)),
            *wrapped(numbers, width),
            "",
        ]
        lines += [*draw(grid, fitted, colour), ""]
        if told := legend(grid, fitted, width):
            lines += [*(painted(line, "dim", colour) for line in told), ""]
        sentences, notes = remarks(table)
        if sentences and (heading := compared_with(table)):
            lines += wrapped(heading, width)
        for sentence in sentences:
            lines += wrapped(sentence, width, "  " if len(sentences) > 1 and width else "", "")
        for heading, each in (planned(table), tuned(table)):
            lines += ["", *wrapped(heading, width)] if heading else []
            lines += [line for text in each for line in wrapped(text, width, "    ", "  ")]
        heading = planned(table)[0] or tuned(table)[0]
        lines += [""] if (sentences or heading) and notes else []
        for note in notes:
            is_caution = note.startswith("caution: ")
            told = wrapped(note if is_caution else f"note: {note}", width, "  ", "")
            lines += [painted(line, "yellow" if is_caution else "", colour) for line in told]
        lines += [""] if sentences or heading or notes else []
    if problems:
        lines += wrapped("not in the table:" if tables else "no finished run to compare; found:", width)
        for problem in as_told(problems):
            style, text = "dim" if problem.harmless else "red", _problem_line(problem, root)
            lines += [painted(line, style, colour) for line in wrapped(text, width, "    ", "  ")]
        if any(problem.may_go_on for problem in problems):
            lines += wrapped("bakeoff resume RUN goes on with a run that was interrupted or lost", width)
    for study in open_studies(problems):
        heading, *rows = best_lines(study) or [""]
        lines += ["", *wrapped(printable(heading), width)] if heading else []
        lines += [line for row in rows for line in wrapped(printable(row), width, " " * 11, "  ")]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def markdown(tables: Tables, problems: Sequence[Problem], root: Path) -> str:
    """For a page."""
    lines: list[str] = []
    for table, grid in tables:
        lines += [_escaped("; ".join(captions(table, grid.columns))), ""]
        lines.append("| " + " | ".join(map(_escaped, grid.titles)) + " |")
        sides = [" --- " if column.name == "configuration" else " ---: " for column in grid.columns]
        lines.append("|" + "|".join(sides) + "|")
        lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in grid.rows]
        lines.append("")
        told = legend(grid, fit(grid, None), None)
        lines += (
            [*(f"{_escaped(line.strip())}  " for line in told), ""] if told else []
        )  # two spaces end a line
        verdict, notes = remarks(table)
        lines += [_escaped(" ".join(verdict)), ""] if verdict else []
        for heading, each in (planned(table), tuned(table)):
            lines += [_escaped(heading), "", *(f"* {_escaped(text)}" for text in each), ""] if heading else []
        lines += [*(f"* {_escaped(line)}" for line in notes), ""] if notes else []
    if problems:
        lines += ["Not in the table:" if tables else "No finished run to compare; found:", ""]
        lines += [f"* {_escaped(line)}" for line in problem_lines(problems, root)]
    for study in open_studies(problems):
        heading, *rows = best_lines(study) or [""]
        lines += ["", _escaped(printable(heading)), ""] if heading else []
        lines += [f"* {_escaped(printable(row))}" for row in rows]
    return "\n".join(lines).rstrip() + "\n"


def _escaped(text: str) -> str:
    for character in "\\|`<[*":
        text = text.replace(character, f"\\{character}")
    return text
