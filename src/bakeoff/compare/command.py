"""`bakeoff compare`: finds run directories, reads them, prints the tables. No torch here."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.compare.group import make_tables
from bakeoff.compare.read import read_runs
from bakeoff.compare.render import render
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.locate import find_run, find_run_dirs, outputs_root
from bakeoff.storage import storage_errors, write_atomically

FORMATS = ("table", "markdown", "csv", "json")


def compare(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 7 if a run failed or cannot be read.

    Raises:
        ConfigError: there is no run directory, or a PATH is nothing.
    """
    options = _parser().parse_args(words)
    root = outputs_root()
    paths = [resolve(word, root) for word in options.paths] or [root]
    return print_comparison(paths, options.format, options.output)


def print_comparison(paths: Sequence[Path], kind: str = "table", output: Path | None = None) -> int:
    """Compares the runs at and below some paths; returns the exit code."""
    # By their real places: a run that two paths lead to is one run.
    found = list({run.resolve(): run for path in paths for run in find_run_dirs(path)}.values())
    if not found:
        where = ", ".join(map(str, paths))
        raise ConfigError(f"{where}: no run directory here; train one, give a PATH, or set BAKEOFF_OUTPUTS")
    runs, problems = read_runs(found)
    text = render(make_tables(runs), problems, kind, paths[0] if len(paths) == 1 else Path())
    if output and (output.is_file() or not output.exists()):
        write_atomically(output, lambda file: file.write(text.encode()))
    elif output:  # a device or a pipe, which a rename would replace
        with storage_errors(output):
            output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return OK if all(problem.harmless for problem in problems) else SOME_RUNS_BAD


def resolve(word: str, root: Path) -> Path:
    """A PATH of the command line: a folder, or a run by its name."""
    path = Path(word)
    return path if path.is_dir() else find_run(word, root)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "bakeoff compare",
        description="Turns run directories into a table: one for each test set, a row for each setting.",
        epilog="exit codes: 0 done; 2 no run directory; 7 some runs failed or cannot be read (listed)",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a run directory, a folder to search, the beginning of a run's name, or latest; "
        "without one, $BAKEOFF_OUTPUTS or ./outputs",
    )
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to a file")
    return parser
