r"""Tables -> LaTeX for a paper, which needs the package booktabs and nothing else. No torch here.

It compiles with pdfLaTeX in any of its encodings: no `\textquotedbl`, which OT1 lacks, and signs beyond the
Latin alphabet are printed by XeLaTeX and LuaLaTeX alone.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from bakeoff.comparison.output.captions import captions, remarks
from bakeoff.comparison.output.grid import Cell, Grid
from bakeoff.comparison.output.layout import fit, legend
from bakeoff.comparison.output.render import problem_lines
from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table

_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "<": r"\textless{}", ">": r"\textgreater{}", '"': "''", "[": "{[}", "]": "{]}", "|": r"\textbar{}",
    "*": r"$\ast$", "…": r"\dots{}", "`": "{`}",
}  # fmt: skip
# What pdfLaTeX prints of UTF-8 without a package: Latin-1's letters that OT1 can build.
_BUILT = frozenset("ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝàáâãäåçèéêëìíîïñòóôõöùúûüýÿßÆØŒæøœ")
_PAGE = 70  # characters of cells, about what a page holds in a line
_ONLY_UNICODE = r"\providecommand{\onlyunicode}[1]{\ifdefined\Umathchar#1\else?\fi}"


def latex(tables: Sequence[tuple[Table, Grid]], problems: Sequence[Problem], root: Path) -> str:
    """A table environment for each table, its sentences and notes below it."""
    lines: list[str] = []
    for table, grid in tables:
        texts = "; ".join(captions(table, grid.columns))
        sides = "".join("l" if column.name == "configuration" else "r" for column in grid.columns)
        lines += [r"\begin{table}", r"\centering", f"\\caption{{{in_latex(texts)}}}"]
        lines += [r"\footnotesize", r"\setlength{\tabcolsep}{4pt}"]
        lines += [f"\\begin{{tabular}}{{{sides}}}", r"\toprule", _line(grid.titles), r"\midrule"]
        is_wide = (
            sum(len(max((row[place] for row in grid.rows), key=len)) for place in range(len(sides))) > _PAGE
        )
        for place in range(len(table.settings)):
            lines += [r"\midrule"] if place in grid.blocks else []
            lines += _rows([column.cells[place] for column in grid.columns], stacked=is_wide)
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
        below = [f"{in_latex(line.strip())}\\par" for line in legend(grid, fit(grid, None), None)]
        lines += [r"{\raggedright", *below, "}", ""] if below else []
        verdict, notes = remarks(table)
        told = [f"{note[0].upper()}{note[1:]}." for note in notes]
        lines += [in_latex(" ".join([*verdict, *told])), ""]
    lines += [f"% not in the table: {line}" for line in problem_lines(problems, root)]
    text = "\n".join(lines).rstrip() + "\n"
    return f"{_ONLY_UNICODE}\n{text}" if r"\onlyunicode" in text else text


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(in_latex, cells)) + r" \\"


def _rows(cells: Sequence[Cell], *, stacked: bool) -> list[str]:
    """A row of a table; a page has no room for intervals beside their means, so they stand below."""
    if not stacked:
        return [_line([cell.whole for cell in cells])]
    small = [rf"\scriptsize {in_latex(cell.spread)}" if cell.spread else "" for cell in cells]
    below = [" & ".join(small) + r" \\"] if any(small) else []
    return [_line([cell.text for cell in cells]), *below]


def in_latex(text: str) -> str:
    """A text of anybody's that LaTeX prints as it is."""
    parts = []
    for known, group in groupby(text, key=lambda sign: sign.isascii() or sign in _SIGNS or sign in _BUILT):
        signs = "".join(_SIGNS.get(sign, sign) for sign in group)
        parts.append(signs if known else f"\\onlyunicode{{{signs}}}")
    # Two dashes in a row would be printed as one long one.
    return re.sub("-(?=-)", "-{}", "".join(parts))
