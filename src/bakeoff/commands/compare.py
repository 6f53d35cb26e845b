"""`bakeoff compare`: its options. No torch here."""

import argparse
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.comparison.figures import COST_NAMES, RUN_FIGURES
from bakeoff.comparison.history import parse_metric
from bakeoff.comparison.output.printing import FORMATS, print_comparison
from bakeoff.comparison.view import View
from bakeoff.runs.locate import outputs_root, resolve

USAGE = "compare [PATH ...]"
SUMMARY = "a table that says which differences are real"


def compare(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 7 if a run failed or cannot be read, or if with `--strict` settings are not comparable.

    Raises:
        ConfigError: there is no run directory, a PATH is nothing, or an option cannot be met.
    """
    options = parser().parse_args(words)
    root = outputs_root()
    paths = [resolve(word, root) for word in options.paths] or [root]
    return print_comparison(
        paths,
        options.format,
        options.output,
        _view(options),
        statistics=options.statistics,
        strict=options.strict,
    )


def _view(options: argparse.Namespace) -> View:
    return View(
        where=options.where,
        group_by=options.group_by,
        sort=options.sort,
        top=options.top,
        columns=options.columns,
        only_changed=options.only_changed,
        history=tuple(map(parse_metric, options.metric)),
        seconds_to=options.seconds_to,
        cost=COST_NAMES[options.cost] if options.cost else None,
        baseline=options.baseline,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _share(text: str) -> float:
    if not 0 < (number := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share in 0..1, such as 0.98")
    return number


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff compare",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turns run directories into a table and says which differences are real: one table for\n"
        "each test set, a row for each setting. docs/statistics.md explains the numbers.",
        epilog="""examples:
  bakeoff compare outputs/sweeps/NAME --format markdown -o table.md
  bakeoff compare --where 'model == "cnn" and optim.lr <= 0.01' --sort nll --top 5
  bakeoff compare --baseline cnn --cost train_seconds
  bakeoff compare --metric 'best(val.accuracy)' --seconds-to 0.98

exit codes: 0 done; 2 no run directory, or an option that cannot be met; 7 some runs failed or cannot be
            read (listed), or settings are not comparable (--strict)""",
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
    _add_rows(parser)
    _add_columns(parser)
    _add_statistics(parser)
    parser.suggestions = {"sort": tuple(RUN_FIGURES)}
    return parser


def _add_rows(parser: Parser) -> None:
    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--where",
        metavar="EXPRESSION",
        help="only runs for which it holds: names of the config, model, seed, weights; metrics are the "
        "setting's means; == != < <= > >= in, and or not, (), 'text', [a, b], true, null",
    )
    rows.add_argument("--group-by", type=_names, default=(), metavar="KEY,...", help="settings in blocks")
    rows.add_argument("--sort", metavar="NAME[:asc|:desc]", help="by a metric, best first, or by a key")
    rows.add_argument("--top", type=_positive, metavar="N", help="the first N settings")


def _add_columns(parser: Parser) -> None:
    columns = parser.add_argument_group("columns")
    columns.add_argument("--columns", type=_names, default=(), metavar="NAME,...", help="these and no others")
    columns.add_argument(
        "--only-changed", action="store_true", help="leave out columns that are the same in every row"
    )
    columns.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="best|last|min|max(FIGURE)",
        help="a column from the runs' histories, as best(val.accuracy)",
    )
    columns.add_argument(
        "--seconds-to",
        type=_share,
        metavar="ACCURACY",
        help="a column: seconds of training until this validation accuracy was reached",
    )
    columns.add_argument(
        "--cost", choices=tuple(COST_NAMES), help="a column, and the front of accuracy against this cost"
    )


def _add_statistics(parser: Parser) -> None:
    tests = parser.add_argument_group("statistics")
    tests.add_argument(
        "--baseline", metavar="NAME", help="test each setting against this one only (a name, a model, or "
        "the beginning of a setting)",
    )  # fmt: skip
    tests.add_argument(
        "--no-statistics",
        dest="statistics",
        action="store_false",
        help="leave predictions and pairs alone",
    )
    tests.add_argument("--strict", action="store_true", help="exit 7 if settings are not comparable")
