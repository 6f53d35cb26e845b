"""Run directories in, the whole comparison out: printed or written to a file. No torch here."""

import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.comparability import all_alike
from bakeoff.comparison.read import Problem, read_runs
from bakeoff.comparison.tables import Table
from bakeoff.comparison.view import View
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.runs.locate import distinct_run_dirs
from bakeoff.runs.storage import storage_errors, write_atomically

FORMATS = ("table", "markdown", "csv", "json", "latex")


def print_comparison(
    paths: Sequence[Path],
    kind: str = "table",
    output: Path | None = None,
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
    view = view or View()
    tables = compare_runs(runs, view, statistics=statistics)
    _write(rendered(tables, problems, kind, view, paths[0] if len(paths) == 1 else Path()), output)
    if not all(problem.harmless for problem in problems):
        return SOME_RUNS_BAD
    comparable = all(all_alike([row.members for row in table.settings]) for table in tables)
    return SOME_RUNS_BAD if strict and not comparable else OK


def rendered(tables: Sequence[Table], problems: Sequence[Problem], kind: str, view: View, root: Path) -> str:
    """The whole comparison as text in one of the `FORMATS`; paths are shown relative to `root`."""
    from bakeoff.comparison.output import export, render
    from bakeoff.comparison.output.columns import make_grid

    if kind in ("csv", "json"):
        return (export.as_csv if kind == "csv" else export.as_json)(tables, problems, root)
    makers = {"table": render.terminal, "markdown": render.markdown, "latex": render.latex}
    return makers[kind]([(table, make_grid(table, view)) for table in tables], problems, root)


_OTHER_FILE = "FILE for -o"


def _write(text: str, output: Path | None) -> None:
    if output and (output.is_file() or not output.exists()):
        write_atomically(output, lambda file: file.write(text.encode()), _OTHER_FILE)
    elif output:  # a device or a pipe, which a rename would replace
        with storage_errors(output, _OTHER_FILE):
            output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
