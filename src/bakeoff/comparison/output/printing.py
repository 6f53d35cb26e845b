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
from bakeoff.runs.locate import distinct_run_dirs
from bakeoff.runs.storage import storage_errors, write_atomically
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
    run_dirs = distinct_run_dirs(paths)
    if not run_dirs:
        where = ", ".join(map(str, paths))
        raise ConfigError(f"{where}: no run directory here; train one, give a PATH, or set BAKEOFF_OUTPUTS")
    runs, problems = read_runs(run_dirs, predictions=statistics)
    view, writing = view or View(), writing or Writing()
    tables = compare_runs(runs, view, statistics=statistics)
    root = paths[0] if len(paths) == 1 else Path()
    _write(rendered(tables, problems, writing, view, root), writing.output)
    if not all(problem.harmless for problem in problems):
        return SOME_RUNS_BAD
    comparable = all(all_alike([row.members for row in table.settings]) for table in tables)
    return SOME_RUNS_BAD if strict and not comparable else OK


def rendered(
    tables: Sequence[Table], problems: Sequence[Problem], writing: Writing, view: View, root: Path
) -> str:
    """The whole comparison as text in one of the `FORMATS`; paths are shown relative to `root`."""
    from bakeoff.comparison.output import export, latex, render
    from bakeoff.comparison.output.columns import make_grid

    if writing.kind == "csv":
        return export.as_csv(tables, problems, root, writing.csv)
    if writing.kind == "json":
        return export.as_json(tables, problems, root)
    grids = [(table, make_grid(table, view)) for table in tables]
    if writing.kind != "table":
        return {"markdown": render.markdown, "latex": latex.latex}[writing.kind](grids, problems, root)
    # A file has no width and no colours, unless they are asked for.
    stream = None if writing.output else sys.stdout
    colour = writing.colour == "always" or (stream is not None and wants_colour(stream, writing.colour))
    return render.terminal(grids, problems, root, line_width(stream), colour=colour)


_OTHER_FILE = "FILE for -o"


def _write(text: str, output: Path | None) -> None:
    if output and (output.is_file() or not output.exists()):
        write_atomically(output, lambda file: file.write(text.encode()), _OTHER_FILE)
    elif output:  # a device or a pipe, which a rename would replace
        with storage_errors(output, _OTHER_FILE):
            output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
