"""`bakeoff list`: the runs and sweeps that there are, the newest first. No torch here."""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from bakeoff.arguments import Parser, add_colour
from bakeoff.commands.row_table import run_line, sweep_line, table
from bakeoff.errors import OK, nearest
from bakeoff.runs.folders import is_sweep_dir
from bakeoff.runs.locate import outputs_root
from bakeoff.runs.paths import home_path
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.states import STATES
from bakeoff.sweeps.listing import Entry, Wanted, entries, rows
from bakeoff.sweeps.locate import find_sweep
from bakeoff.sweeps.rows import RunRow, SweepRow
from bakeoff.terminal import line_width, painted, wants_colour, wrapped
from bakeoff.text import counted, printable

USAGE = "list [SWEEP|FOLDER ...]"
SUMMARY = "list runs and sweeps, the newest first"
_MOST_ROWS = 20  # of a table, if nobody says how many


def list(words: Sequence[str]) -> int:  # noqa: A001 - a command's function has its name
    """Runs the command.

    Raises:
        ConfigError: a PATH is none, or an option is not possible.
    """
    options = parser().parse_args(words)
    root = outputs_root()
    paths = [_folder(word, root) for word in dict.fromkeys(options.paths)] or [root]
    wanted = Wanted(options.state, options.model, options.data)
    # What is asked of runs is no question about a whole sweep.
    found = entries(paths, folded=wanted.is_everything and not options.runs)
    most = options.limit if options.limit is not None else (0 if options.json else _MOST_ROWS)
    taken = [*islice(rows(found, wanted), most or None)]
    if options.json:
        shown = {"schema": SCHEMA, "rows": [as_json(row) for row in taken]}
        print(json.dumps(shown, indent=1, allow_nan=False))
        return OK
    _print(taken, options.color)
    for line in _told(found, taken, wanted, most, paths):
        for part in wrapped(printable(line), line_width(sys.stdout)):
            print(painted(part, "dim", wants_colour(sys.stdout, options.color)))
    return OK


def _folder(word: str, root: Path) -> Path:
    path = home_path(word)
    return path if path.is_dir() else find_sweep(word, root)


def _print(taken: Sequence[RunRow | SweepRow], colour: str) -> None:
    if not taken:
        return
    width = line_width(sys.stdout)
    short = width is not None
    lines = [run_line(row, short) if isinstance(row, RunRow) else sweep_line(row, short) for row in taken]
    for line in table(lines, width, wants_colour(sys.stdout, colour)):
        print(line)


def _told(
    found: Sequence[Entry],
    taken: Sequence[RunRow | SweepRow],
    wanted: Wanted,
    most: int,
    paths: Sequence[Path],
) -> Sequence[str]:
    """What is not in the table, and how to see it."""
    where = ", ".join(map(str, paths))
    if not found:
        return [f"no runs in {where} yet; bakeoff train data=digits makes one"]
    if not taken:
        return [f"no run matches; there are {counted(len(found), 'run')} in {where}"]
    if len(taken) < most or not most:
        return []
    if not wanted.is_everything:
        return [f"the newest {most:,}; more with -n NUMBER (-n 0: all)"]
    left = len(found) - len(taken)
    return [f"{left:,} older not shown; more with -n NUMBER (-n 0: all)"] if left else []


def as_json(row: RunRow | SweepRow) -> dict[str, Any]:
    """One row for scripts; null is what is not known."""
    common = {
        "kind": "run" if isinstance(row, RunRow) else "sweep",
        "name": row.path.name,
        "path": str(row.path),
        "began": row.began.isoformat(timespec="seconds") if row.began else None,
        "seconds": row.seconds,
        "changed": row.changed,
    }
    if isinstance(row, SweepRow):
        best = row.best
        return common | {
            "state": row.state,
            "num_runs": row.num_runs,
            "counts": row.counts,
            "models": row.models,
            "data": row.data,
            "seeds": row.seeds,
            "best": best and {"name": best.path.name, "val_accuracy": best.val_accuracy},
        }
    return common | {
        "state": row.state.state,
        "reason": row.state.reason,
        "step": row.state.step,
        "model": row.model,
        "data": row.data,
        "seed": row.seed,
        "val_accuracy": row.val_accuracy,
        "test_accuracy": row.test_accuracy,
        "sweep": row.path.parent.name if is_sweep_dir(row.path.parent) else None,
    }


def _names(text: str) -> Sequence[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _states(text: str) -> Sequence[str]:
    names = _names(text)
    for name in names:
        if name not in STATES:
            raise argparse.ArgumentTypeError(
                f"{name}: no such state; there are {', '.join(STATES)}{nearest(name, STATES)}"
            )
    return names


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text}: a number of rows, or 0 for all")
    return int(text)


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff list",
        description="Lists runs and sweeps, the newest first. A sweep is one row; `bakeoff list SWEEP` lists "
        "its runs. Figures are those that the runs have written; bakeoff compare checks them.",
        epilog="""examples:
  bakeoff list -n 5
  bakeoff list latest
  bakeoff list --state failed,lost --model 'vit*'
  bakeoff list --json

test accuracy is there once a run has finished. docs/runs.md explains the columns.
exit codes: 0 done; 2 no such sweep or folder, or an option that is not possible""",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="SWEEP|FOLDER",
        help="the beginning of a sweep's name, latest (the sweep that was worked on last) or a folder; "
        "without one, $BAKEOFF_OUTPUTS or ./outputs",
    )
    parser.add_argument(
        "-n", "--limit", type=_limit, metavar="NUMBER", help=f"rows at most (default {_MOST_ROWS}, 0: all)"
    )
    parser.add_argument("--runs", action="store_true", help="each run of a sweep is a row, too")
    rows = parser.add_argument_group("only these runs, those of sweeps too (several with commas)")
    rows.add_argument("--state", type=_states, default=(), metavar="STATE", help=", ".join(STATES))
    rows.add_argument("--model", type=_names, default=(), metavar="NAME", help="models: cnn, 'vit*'")
    rows.add_argument("--data", type=_names, default=(), metavar="NAME", help="data sets, by name or title")
    parser.add_argument("--json", action="store_true", help="write JSON, with all rows unless -n says less")
    add_colour(parser)
    parser.suggestions = {"state": STATES}
    return parser
