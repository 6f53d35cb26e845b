"""`bakeoff show RUN|SWEEP`: all that there is of one, and what can be done with it. No torch here."""

import json
import sys
from collections.abc import Sequence

from bakeoff.arguments import Parser, add_colour
from bakeoff.commands import shown_run, shown_sweep
from bakeoff.commands.list import as_json
from bakeoff.commands.next_steps import of_sweep
from bakeoff.commands.run_contents import look_at
from bakeoff.errors import OK
from bakeoff.runs.folders import is_sweep_dir
from bakeoff.runs.locate import outputs_root
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.storage import without_nan
from bakeoff.sweeps.locate import find_run_or_sweep
from bakeoff.terminal import line_width, wants_colour

USAGE = "show RUN|SWEEP"
SUMMARY = "show a run or a sweep, and what to do next"


def show(words: Sequence[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: no such run or sweep, or several.
    """
    options = parser().parse_args(words)
    path = find_run_or_sweep(options.run, outputs_root())
    width, colour = line_width(sys.stdout), wants_colour(sys.stdout, options.color)
    if is_sweep_dir(path):
        if options.json:
            row, rows, ledger = shown_sweep.read_sweep(path)
            more = {"line": ledger.line if ledger else None, "next": of_sweep(row, ledger)}
            _print_json(as_json(row) | more | {"runs": [as_json(each) for each in rows]})
        else:
            print("\n".join(shown_sweep.lines_of(path, width, colour)))
        return OK
    found = look_at(path)
    if options.json:
        _print_json(as_json(found.row) | shown_run.as_json(found))
    else:
        print("\n".join(shown_run.lines_of(found, width, colour)))
    return OK


def _print_json(values: dict[str, object]) -> None:
    print(json.dumps(without_nan({"schema": SCHEMA, **values}), indent=1, allow_nan=False))


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff show",
        description="Shows a run: its result, what differs from the default config, its history, its "
        "pictures, why it failed, and how to go on with it, evaluate or compare it. Of a sweep it shows the "
        "runs.",
        epilog="exit codes: 0 done; 2 no such run or sweep",
    )
    parser.add_argument(
        "run",
        metavar="RUN|SWEEP",
        help="a path, the beginning of a run's or a sweep's name, or latest, the last run that has finished",
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    add_colour(parser)
    return parser
