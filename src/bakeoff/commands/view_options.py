"""What commands that show a comparison have alike: which runs, and what of them is shown. No torch here."""

import argparse
import re
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.comparison.figures import COST_NAMES, SHORT_NAMES
from bakeoff.comparison.history import parse_metric
from bakeoff.comparison.view import View
from bakeoff.runs.locate import outputs_root, resolve


def paths_of(options: argparse.Namespace) -> list[Path]:
    """Where runs are looked for.

    Raises:
        ConfigError: a PATH that is none.
    """
    root = outputs_root()
    return [resolve(word, root) for word in dict.fromkeys(options.paths)] or [root]


def view_of(options: argparse.Namespace) -> View:
    """What `add_rows`, `add_columns` and `add_baseline` have read."""
    return View(
        where=options.where,
        trials=options.all,
        group_by=options.group_by,
        sort=options.sort,
        top=options.top,
        columns=options.columns,
        only_changed=options.only_changed,
        history=tuple(map(parse_metric, options.metric)),
        seconds_to=options.seconds_to,
        cost=COST_NAMES[options.cost] if options.cost else None,
        baseline=options.baseline,
        spread=options.spread,
        max_latency_ms=options.max_latency,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _positive(text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def _share(text: str) -> float:
    try:
        if 0 < (number := float(text)) <= 1:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is no share above 0 and up to 1, such as 0.98")


# Units of a latency, in milliseconds.
_UNITS = {"us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
_MOST_MS = 3.6e6  # an hour


def _latency(text: str) -> float:
    """Such as 2ms, 0.5 ms, 300us or 0.002 s, in milliseconds."""
    found = re.fullmatch(r"\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)\s*([a-zµμ]*)\s*", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no time, such as 2ms, 0.5ms, 300us or 0.002s")
    number, unit = found.groups()
    if unit not in _UNITS:
        raise argparse.ArgumentTypeError(
            f"{text} has no known unit; write {number}ms, {number}us or {number}s"
        )
    if not 0 < (milliseconds := float(number) * _UNITS[unit]) <= _MOST_MS:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most an hour")
    return milliseconds


def add_paths(parser: Parser) -> None:
    """Where runs are looked for."""
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a run directory, a folder to search, the beginning of a run's or a sweep's name, or latest; "
        "without one, $BAKEOFF_OUTPUTS or ./outputs",
    )


def add_rows(parser: Parser) -> None:
    """Which runs, in which order."""
    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--where",
        metavar="EXPRESSION",
        help="show only the runs for which the expression is true. It may use keys of the config; name, "
        "model, data, seed, weights, date, host, status; metrics such as accuracy (0 to 1), as means over "
        "the seeds; "
        "== != < <= > >= in, and or not, (), 'text', [a, b], true, null",
    )
    rows.add_argument(
        "--all",
        action="store_true",
        help="show also the trials by which a search (bakeoff tune) has chosen, not only what came of it",
    )
    rows.add_argument(
        "--group-by",
        type=_names,
        default=(),
        metavar="KEY,...",
        help="group the rows: one block for each value of the key",
    )
    rows.add_argument(
        "--sort",
        metavar="NAME[:asc|:desc]",
        help=f"sort by a metric, best first ({', '.join(SHORT_NAMES)}), or by name, date, host, or a key",
    )
    rows.add_argument("--top", type=_positive, metavar="N", help="show only the first N rows")


def add_columns(parser: Parser) -> None:
    """Which figures and keys."""
    columns = parser.add_argument_group("columns")
    columns.add_argument(
        "--columns",
        type=_names,
        default=(),
        metavar="NAME,...",
        help="show these columns only: n, group, weights, seeds, front, metrics, and all names of --where",
    )
    columns.add_argument(
        "--spread",
        choices=("interval", "std"),
        default="interval",
        help="show beside a mean its 95 %% interval, or ± the standard deviation over the seeds",
    )
    columns.add_argument(
        "--only-changed", action="store_true", help="leave out columns that are the same in every row"
    )
    columns.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="FUNCTION(METRIC)",
        help="add a column computed from the epochs of the runs, such as best(val.accuracy); "
        "functions: best, last, min, max",
    )
    columns.add_argument(
        "--seconds-to",
        type=_share,
        metavar="ACCURACY",
        help="add a column: seconds of training until this validation accuracy was reached",
    )
    columns.add_argument(
        "--cost",
        choices=tuple(COST_NAMES),
        help="add a column for this cost, and mark the best trade-offs of accuracy and this cost",
    )


def add_baseline(group: argparse._ArgumentGroup) -> None:
    """Against which row the others are tested."""
    group.add_argument(
        "--baseline",
        metavar="NAME",
        help="test each row against this one only: its number in the table, its name or its model",
    )


def add_max_latency(group: argparse._ArgumentGroup) -> None:
    """A budget of time for one image."""
    group.add_argument(
        "--max-latency",
        type=_latency,
        metavar="TIME",
        help="name the most accurate row that takes at most so long for one image, such as 2ms or 300us, and "
        "those that are not proven to be worse",
    )
