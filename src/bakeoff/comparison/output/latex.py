r"""Tables -> LaTeX for a paper, which needs the package booktabs and nothing else. No torch here.

It compiles with pdfLaTeX in any of its encodings: no `\textquotedbl`, which OT1 lacks, and signs beyond the
Latin alphabet are printed by XeLaTeX and LuaLaTeX alone.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from bakeoff.comparison.output.captions import captions, remarks
from bakeoff.comparison.output.grid import Grid
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
_ONLY_UNICODE = r"\providecommand{\onlyunicode}[1]{\ifdefined\Umathchar#1\else?\fi}"


def latex(tables: Sequence[tuple[Table, Grid]], problems: Sequence[Problem], root: Path) -> str:
    """A table environment for each table, its sentences and notes below it."""
    lines: list[str] = []
    for table, grid in tables:
        texts = "; ".join(captions(table, grid.columns))
        lines += [r"\begin{table}", r"\centering", f"\\caption{{{in_latex(texts)}}}"]
        sides = "".join("l" if column.name == "configuration" else "r" for column in grid.columns)
        lines += [f"\\begin{{tabular}}{{{sides}}}", r"\toprule"]
        lines += [" & ".join(map(in_latex, grid.titles)) + r" \\", r"\midrule"]
        for place, row in enumerate(grid.rows):
            lines += [r"\midrule"] if place in grid.blocks else []
            lines.append(" & ".join(map(in_latex, row)) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
        lines += [f"{in_latex(line.strip())}\\par" for line in legend(grid, fit(grid, None), None)]
        verdict, notes = remarks(table)
        lines += [in_latex(" ".join([*verdict, *(f"Note: {note}." for note in notes)])), ""]
    lines += [f"% not in the table: {line}" for line in problem_lines(problems, root)]
    text = "\n".join(lines).rstrip() + "\n"
    return f"{_ONLY_UNICODE}\n{text}" if r"\onlyunicode" in text else text


def in_latex(text: str) -> str:
    """A text of anybody's that LaTeX prints as it is."""
    parts = []
    for known, group in groupby(text, key=lambda sign: sign.isascii() or sign in _SIGNS or sign in _BUILT):
        signs = "".join(_SIGNS.get(sign, sign) for sign in group)
        parts.append(signs if known else f"\\onlyunicode{{{signs}}}")
    # Two dashes in a row would be printed as one long one.
    return re.sub("-(?=-)", "-{}", "".join(parts))
