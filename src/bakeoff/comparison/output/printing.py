"""Run directories in, the whole comparison out: printed or written to a file. No torch here."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.comparability import all_alike
from bakeoff.comparison.output.csv_form import CsvForm
from bakeoff.comparison.read import Problem, read_runs
from bakeoff.comparison.tables import Table
from bakeoff.comparison.view import View
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.runs.folders import refuse_run_files
from bakeoff.runs.locate import distinct_run_dirs
from bakeoff.runs.storage import write_where_told
from bakeoff.terminal import line_width, wants_colour

FORMATS = ("table", "markdown", "csv", "json", "latex")


@dataclass(frozen=True)
class Writing:
    """The options that say how a comparison is written."""

    kind: str = "table"
    output: Path | None = None
    colour: str = "auto"
    csv: CsvForm = field(default_factory=CsvForm)


def print_comparison(
    paths: Sequence[Path],
    writing: Writing | None = None,
    view: View | None = None,
    *,
    statistics: bool = True,
    strict: bool = False,
) -> int:
    """Compares the runs at and below some paths; returns the exit code."""
    view, writing = view or View(), writing or Writing()
    compared = read_and_compare(paths, view, statistics=statistics)
    tables, problems, root = compared.tables, compared.problems, compared.root
    write(rendered(tables, problems, writing, view, root), writing.output)
    return compared.exit_code(strict=strict)


@dataclass(frozen=True)
class Compared:
    """What is at and below some paths."""

    tables: list[Table]
    problems: list[Problem]
    root: Path  # that paths are shown relative to

    def exit_code(self, *, strict: bool = False) -> int:
        """0, or 7 if a run is bad, or if with `strict` rows are not comparable."""
        if not all(problem.harmless for problem in self.problems):
            return SOME_RUNS_BAD
        comparable = all(all_alike([row.members for row in table.settings]) for table in self.tables)
        return SOME_RUNS_BAD if strict and not comparable else OK


def read_and_compare(paths: Sequence[Path], view: View, *, statistics: bool = True) -> Compared:
    """Reads the runs at and below some paths, and compares them.

    Raises:
        ConfigError: no run directory is there, or an option that is not possible.
    """
    run_dirs = distinct_run_dirs(paths)
    if not run_dirs:
        where = ", ".join(map(str, paths))
        raise ConfigError(f"{where}: no run directory here; train one, give a PATH, or set BAKEOFF_OUTPUTS")
    runs, problems = read_runs(run_dirs, predictions=statistics, trials=view.trials)
    tables = compare_runs(runs, view, statistics=statistics)
    return Compared(tables, problems, paths[0] if len(paths) == 1 else Path())


def rendered(
    tables: Sequence[Table], problems: Sequence[Problem], writing: Writing, view: View, root: Path
) -> str:
    """The whole comparison as text in one of the `FORMATS`, or as `html` for a notebook.

    Paths are shown relative to `root`.
    """
    from bakeoff.comparison.output import export, latex, page, render
    from bakeoff.comparison.output.columns import make_grid

    if writing.kind == "csv":
        return export.as_csv(tables, problems, root, writing.csv)
    if writing.kind == "json":
        return export.as_json(tables, problems, root)
    grids = [(table, make_grid(table, view)) for table in tables]
    if writing.kind != "table":
        write = {"markdown": render.markdown, "latex": latex.latex, "html": page.notebook_html}[writing.kind]
        return write(grids, problems, root)
    # A file has no width and no colours, unless they are asked for.
    stream = None if writing.output else sys.stdout
    colour = writing.colour == "always" or (stream is not None and wants_colour(stream, writing.colour))
    return render.terminal(grids, problems, root, line_width(stream), colour=colour)


_OTHER_FILE = "FILE for -o"


def write(text: str, output: Path | None) -> None:
    """Into a file, which appears whole, or to standard output."""
    if output:
        refuse_run_files(output)
        write_where_told(output, lambda file: file.write(text.encode()), _OTHER_FILE)
    else:
        sys.stdout.write(text)
