"""`bakeoff compare`: its options. No torch here."""

import argparse
from dataclasses import replace
from pathlib import Path

from bakeoff.arguments import Parser, add_colour
from bakeoff.commands.view_options import (
    add_baseline,
    add_columns,
    add_max_latency,
    add_paths,
    add_rows,
    paths_of,
    view_of,
)
from bakeoff.comparison.figures import SHORT_NAMES
from bakeoff.comparison.output.csv_form import CsvForm, delimiter
from bakeoff.comparison.output.printing import FORMATS, Writing, print_comparison
from bakeoff.errors import ConfigError
from bakeoff.runs.paths import home_path

HTML = "html"
MOST_POINTS = 100
# What says something in sentences, and the formats that have room for it.
_SENTENCES = {"plan": ("table", "markdown", "json"), "max_latency": ("table", "markdown", "json", HTML)}
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
    paths = paths_of(options)
    _refuse_what_is_not_printed(options)
    if options.format == HTML:
        return _page(paths, options)
    return print_comparison(
        paths,
        _writing(options),
        replace(view_of(options), plan=options.plan),
        statistics=options.statistics,
        strict=options.strict,
    )


def _refuse_what_is_not_printed(options: argparse.Namespace) -> None:
    for name, formats in _SENTENCES.items():
        if getattr(options, name) is not None and (not options.statistics or options.format not in formats):
            which = f"--format {options.format}" if options.statistics else "--no-statistics"
            told = f"{', '.join(formats[:-1])} and {formats[-1]}"
            raise ConfigError(f"--{name.replace('_', '-')}: not with {which}; it is printed with {told}")


def _page(paths: list[Path], options: argparse.Namespace) -> int:
    """The same as `bakeoff report`, with all options of a comparison."""
    from bakeoff.report.extra import check_installed
    from bakeoff.report.write import write_report

    if not options.statistics:
        raise ConfigError("--no-statistics: not with --format html, which shows what the predictions say")
    if options.output is None:
        raise ConfigError("--format html: give a file, such as -o report.html")
    check_installed()
    return write_report(paths, options.output, view_of(options), strict=options.strict)


def _writing(options: argparse.Namespace) -> Writing:
    given = {"--bom": options.bom, "--delimiter": options.delimiter, "--decimal": options.decimal}
    form = CsvForm(options.delimiter or ",", options.decimal or ".", options.bom)
    if options.format != "csv" and (name := next((name for name, value in given.items() if value), None)):
        raise ConfigError(f"{name}: only with --format csv")
    if form.delimiter == form.decimal:
        raise ConfigError("--decimal ,: needs another delimiter, such as --delimiter ';'")
    return Writing(options.format, options.output, options.color, form)


def _delimiter(text: str) -> str:
    try:
        return delimiter(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _points(text: str) -> float:
    try:
        if 0 < (number := float(text)) <= MOST_POINTS:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not a number of points above 0, such as 0.3")


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
  bakeoff compare --max-latency 2ms
  bakeoff compare --metric 'best(val.accuracy)' --seconds-to 0.98
  bakeoff compare outputs/sweeps/NAME --plan 0.5

exit codes: 0 done; 2 no run directory, or an option that is not possible; 7 some runs failed or cannot be
            read (listed), or the rows are not comparable (--strict)""",
    )
    add_paths(parser)
    _add_output(parser)
    add_rows(parser)
    add_columns(parser)
    _add_statistics(parser)
    parser.suggestions = {"sort": SHORT_NAMES, "delimiter": (";", "tab")}
    return parser


def _add_output(parser: Parser) -> None:
    parser.add_argument("--format", choices=(*FORMATS, HTML), default="table")
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


def _add_statistics(parser: Parser) -> None:
    tests = parser.add_argument_group("statistics")
    add_baseline(tests)
    tests.add_argument(
        "--no-statistics",
        dest="statistics",
        action="store_false",
        help="do not read predictions, and test no differences",
    )
    tests.add_argument(
        "--plan",
        type=_points,
        metavar="POINTS",
        help="say how many seeds each pair needs to show a difference of so many points, such as 0.3",
    )
    add_max_latency(tests)
    tests.add_argument("--strict", action="store_true", help="exit with 7 if the rows are not comparable")
