"""Tables -> text for a terminal, Markdown or LaTeX. No torch here.

Names and values come from other people's directories: control characters never reach a terminal, rich
markup is off, and what Markdown and LaTeX would act on is escaped.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparison.output.columns import Grid, caption, remarks
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table
from bakeoff.text import printable

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "<": r"\textless{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}", "[": "{[}", "]": "{]}",
    "*": r"$\ast$",
}  # fmt: skip

Tables = Sequence[tuple[Table, Grid]]


def relative(path: Path, root: Path) -> str:
    """A run's path as seen from the searched root."""
    try:
        inside = path.relative_to(root)
    except ValueError:
        return str(path)
    return str(inside) if inside.parts else path.name


def problem_lines(problems: Sequence[Problem], root: Path) -> list[str]:
    """What is not in a table and why."""
    return [printable(f"{relative(problem.path, root)}: {problem.reason}") for problem in problems]


def terminal(tables: Tables, problems: Sequence[Problem], root: Path) -> str:
    """For people, at a terminal or in a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    text = io.StringIO()
    # A pipe has no width: rich would cut at 80 columns there.
    console = Console(file=text, force_terminal=False, width=None if sys.stdout.isatty() else 10_000)
    for table, grid in tables:
        console.print(Text(caption(table)))
        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, title in enumerate(grid.titles):
            # Names stay whole where there is room: they are what one looks for.
            drawn.add_column(
                Text(title), justify="right" if place else "left", overflow="fold", no_wrap=place == 0
            )
        for place, row in enumerate(grid.rows):
            drawn.add_row(*(Text(cell) for cell in row), end_section=place + 1 in grid.blocks)
        console.print(drawn)
        verdict, notes = remarks(table)
        for line in verdict:
            console.print(Text(line), soft_wrap=not sys.stdout.isatty())
        if verdict and notes:
            console.print()
        for line in notes:
            console.print(Text(f"note: {line}"), soft_wrap=not sys.stdout.isatty())
        if verdict or notes:
            console.print()
    if problems:
        console.print(Text("not in the table:"), soft_wrap=True)
        for line in problem_lines(problems, root):
            console.print(Text(f"  {line}"), soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def markdown(tables: Tables, problems: Sequence[Problem], root: Path) -> str:
    """For a page."""
    lines: list[str] = []
    for table, grid in tables:
        lines += [_escaped(caption(table)), ""]
        lines.append("| " + " | ".join(_escaped(title) for title in grid.titles) + " |")
        lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(grid.titles) - 1)) + "|")
        lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in grid.rows]
        lines.append("")
        verdict, notes = remarks(table)
        lines += [_escaped(" ".join(verdict)), ""] if verdict else []
        lines += [*(f"* {_escaped(line)}" for line in notes), ""] if notes else []
    if problems:
        lines += ["Not in the table:", ""]
        lines += [f"* {_escaped(line)}" for line in problem_lines(problems, root)]
    return "\n".join(lines).rstrip() + "\n"


def _escaped(text: str) -> str:
    for character in "\\|`<[*":
        text = text.replace(character, f"\\{character}")
    return text


def latex(tables: Tables, problems: Sequence[Problem], root: Path) -> str:
    """For a paper; needs the package booktabs."""
    lines: list[str] = []
    for table, grid in tables:
        lines += [r"\begin{table}", r"\centering", f"\\caption{{{_in_latex(caption(table))}}}"]
        lines += [f"\\begin{{tabular}}{{l{'r' * (len(grid.titles) - 1)}}}", r"\toprule"]
        lines += [" & ".join(map(_in_latex, grid.titles)) + r" \\", r"\midrule"]
        for place, row in enumerate(grid.rows):
            lines += [r"\midrule"] if place in grid.blocks else []
            lines.append(" & ".join(map(_in_latex, row)) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
        verdict, notes = remarks(table)
        lines += [_in_latex(" ".join([*verdict, *(f"Note: {note}." for note in notes)])), ""]
    lines += [f"% not in the table: {line}" for line in problem_lines(problems, root)]
    return "\n".join(lines).rstrip() + "\n"


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
