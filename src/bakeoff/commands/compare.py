"""`bakeoff compare`: its options. No torch here."""

import argparse
import re

from bakeoff.arguments import Parser, add_colour
from bakeoff.comparison.figures import COST_NAMES, SHORT_NAMES
from bakeoff.comparison.history import parse_metric
from bakeoff.comparison.output.csv_form import CsvForm, delimiter
from bakeoff.comparison.output.printing import FORMATS, Writing, print_comparison
from bakeoff.comparison.view import View
from bakeoff.errors import ConfigError
from bakeoff.runs.locate import outputs_root, resolve
from bakeoff.runs.paths import home_path

USAGE = "compare [PATH ...]"
SUMMARY = "make a table, say which differences are proven"


def compare(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 7 if a run failed or cannot be read, or if with `--strict` configurations are not comparable.

    Raises:
        ConfigError: no run directory is found, a PATH does not exist, or an option is not possible.
    """
    options = parser().parse_args(words)
    root = outputs_root()
    paths = [resolve(word, root) for word in dict.fromkeys(options.paths)] or [root]
    return print_comparison(
        paths,
        _writing(options),
        _view(options),
        statistics=options.statistics,
        strict=options.strict,
    )


def _writing(options: argparse.Namespace) -> Writing:
    given = {"--bom": options.bom, "--delimiter": options.delimiter, "--decimal": options.decimal}
    form = CsvForm(options.delimiter or ",", options.decimal or ".", options.bom)
    if options.format != "csv" and (name := next((name for name, value in given.items() if value), None)):
        raise ConfigError(f"{name}: only with --format csv")
    if form.delimiter == form.decimal:
        raise ConfigError("--decimal ,: needs another delimiter, such as --delimiter ';'")
    return Writing(options.format, options.output, options.color, form)


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
        spread=options.spread,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _positive(text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d{0,8}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def _delimiter(text: str) -> str:
    try:
        return delimiter(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _share(text: str) -> float:
    try:
        if 0 < (number := float(text)) <= 1:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is no share above 0 and up to 1, such as 0.98")


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff compare",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turns run directories into a table and says which differences are more than chance:\n"
        "one table for each test set, a row for each configuration (runs that differ only in the seed).\n"
        "docs/statistics.md explains the numbers.",
        epilog="""examples:
  bakeoff compare outputs/sweeps/NAME --format markdown -o table.md
  bakeoff compare --where 'model == "cnn" and optim.lr <= 0.01' --sort nll --top 5
  bakeoff compare --baseline cnn --cost train_seconds
  bakeoff compare --metric 'best(val.accuracy)' --seconds-to 0.98

exit codes: 0 done; 2 no run directory, or an option that is not possible; 7 some runs failed or cannot be
            read (listed), or the rows are not comparable (--strict)""",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a run directory, a folder to search, the beginning of a run's name, or latest; "
        "without one, $BAKEOFF_OUTPUTS or ./outputs",
    )
    _add_output(parser)
    _add_rows(parser)
    _add_columns(parser)
    _add_statistics(parser)
    parser.suggestions = {"sort": SHORT_NAMES, "delimiter": (";", "tab")}
    return parser


def _add_output(parser: Parser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("-o", "--output", type=home_path, metavar="FILE", help="write to a file")
    add_colour(parser)
    csv = parser.add_argument_group("only with --format csv")
    csv.add_argument(
        "--bom", action="store_true", help="begin with a byte order mark, so that Excel reads UTF-8"
    )
    csv.add_argument(
        "--delimiter",
        type=_delimiter,
        metavar="SIGN",
        help="the sign between two cells: ';', tab, ... (default: ',')",
    )
    csv.add_argument(
        "--decimal",
        choices=(".", ","),
        metavar="SIGN",
        help="the decimal sign: a point, or a comma, which Excel needs in many countries",
    )


def _add_rows(parser: Parser) -> None:
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


def _add_columns(parser: Parser) -> None:
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


def _add_statistics(parser: Parser) -> None:
    tests = parser.add_argument_group("statistics")
    tests.add_argument(
        "--baseline",
        metavar="NAME",
        help="test each row against this one only: its number in the table, its name or its model",
    )
    tests.add_argument(
        "--no-statistics",
        dest="statistics",
        action="store_false",
        help="do not read predictions, and test no differences",
    )
    tests.add_argument("--strict", action="store_true", help="exit with 7 if the rows are not comparable")
