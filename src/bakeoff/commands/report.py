"""`bakeoff report`: a comparison as one page. No torch here."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from bakeoff.arguments import Parser
from bakeoff.commands.view_options import (
    add_baseline,
    add_columns,
    add_max_latency,
    add_paths,
    add_rows,
    paths_of,
    view_of,
)
from bakeoff.comparison.output.printing import read_and_compare
from bakeoff.comparison.view import View
from bakeoff.errors import ConfigError, InterruptedRunError
from bakeoff.machine.signals import StopSignal, check_stop
from bakeoff.machine.waiting import doing, tell
from bakeoff.report.extra import check_installed
from bakeoff.report.write import FILE, refuse_foreign, write_report
from bakeoff.runs.locate import distinct_run_dirs
from bakeoff.runs.paths import home_path
from bakeoff.runs.rundir import EPOCHS, STATUS
from bakeoff.runs.rundir import SUMMARY as SUMMARY_FILE
from bakeoff.runs.states import RUNNING, state_or_lost
from bakeoff.sweeps.ledger import is_worked_on

PAGE, LAB = "page", "lab"
USAGE = "report [PATH ...]"
SUMMARY = "write a page with figures: what the numbers mean"
_ENDINGS = (".html", ".htm")
_LOOK_SECONDS = 2.0
_RELOAD_SECONDS = 5  # of an open page
_SHARE_OF_TIME = 0.1  # that rewriting a page may take from the runs it shows


def report(words: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 7 if a run failed or cannot be read.

    Raises:
        ConfigError: no run directory is found, the extra is not installed, or an option is not possible.
    """
    options = parser().parse_args(words)
    check_installed()
    paths = paths_of(options)
    view = view_of(options)
    if options.kind == LAB:
        return _lab(paths, options, view)
    output = options.output or Path(FILE)
    if output.suffix.lower() not in _ENDINGS:
        lab = f"; a lab report needs --as {LAB}" if output.suffix.lower() == ".md" else ""
        raise ConfigError(f"-o {output}: a report is a file that ends with .html{lab}")
    if options.output is None:
        refuse_foreign(output)
    left = options.watch and _follow(paths, output, view)
    with StopSignal().caught(), doing("writing the report"):
        code = write_report(paths, output, view)  # a page that does not reload
    if output.is_file():  # and no pipe, which would get this line, too
        print(f"report         {output}")
    return InterruptedRunError.exit_code if left else code


def _lab(paths: Sequence[Path], options: argparse.Namespace, view: View) -> int:
    """A lab report is a draft that somebody completes, so none is ever written over."""
    from bakeoff.report.lab.write import lab_report  # NumPy and matplotlib's part of it

    output: Path | None = options.output
    if options.watch:
        raise ConfigError("--watch: not with --as lab, which is written once")
    if output is None:
        raise ConfigError("--as lab: give a file, such as -o lab.md or -o lab.html")
    if output.exists():
        raise ConfigError(
            f"{output}: is there already, perhaps with your own words; give another file with -o"
        )
    with StopSignal().caught(), doing("writing the lab report"):
        compared = read_and_compare(paths, view)
        lab_report(compared.tables, compared.problems, compared.root, output)
    print(f"lab report     {output}")
    print('next           search it for "TO DO (you)": what only you can add')
    return compared.exit_code()


def _follow(paths: Sequence[Path], output: Path, view: View) -> bool:
    """Writes the page again whenever a run has something new, until none goes on.

    Returns:
        Whether a signal ended it before that.
    """
    seen: list[tuple[Path, float]] = []
    told: list[str] = []
    try:
        with StopSignal().caught():
            while _goes_on(runs := distinct_run_dirs(paths), paths):
                began = time.monotonic()
                if (now := _traces(runs)) != seen:
                    seen = now
                    said = _written(paths, output, view)
                    if said not in told:
                        told.append(said)
                        tell(said)
                _sleep(max(_LOOK_SECONDS, (time.monotonic() - began) / _SHARE_OF_TIME))
    except InterruptedRunError:
        tell("no longer watching; the runs go on")
        return True
    tell("all runs have ended" if seen else "nothing is being trained here; written once")
    return False


def _written(paths: Sequence[Path], output: Path, view: View) -> str:
    """Writes a page that reloads, and says where it is; what an option names may come with a later run."""
    try:
        write_report(paths, output, view, reload_seconds=_RELOAD_SECONDS)
    except ConfigError as error:
        return f"waiting: {error}"
    return f"{output}: open it in a browser, it follows the runs; Ctrl-C ends the watching"


def _sleep(seconds: float) -> None:
    """Waits, and hears a signal within a tenth of a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check_stop()
        time.sleep(0.1)


def _goes_on(runs: Sequence[Path], paths: Sequence[Path]) -> bool:
    """Whether a run is trained, or a sweep is worked on: between two of its runs, none is."""
    if any(state_or_lost(run).state == RUNNING for run in runs):
        return True
    sweeps = {*paths, *(run.parent for run in runs if run not in paths)}
    return any(is_worked_on(sweep) for sweep in sweeps)


def _traces(runs: Sequence[Path]) -> list[tuple[Path, float]]:
    """When each file that a page shows was last written."""
    found = []
    for run in runs:
        for name in (EPOCHS, SUMMARY_FILE, STATUS):
            try:
                found.append((run / name, (run / name).stat().st_mtime))
            except OSError:
                continue
    return found


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff report",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Writes one HTML file that works offline and can be mailed or printed: the verdict in\n"
        "words, the table, learning curves, where models fail, how it was done.\n"
        "docs/report.md explains its parts.",
        epilog="""examples:
  bakeoff report outputs/sweeps/NAME -o report.html
  bakeoff report latest
  bakeoff report --where 'model == "cnn"' --baseline 1
  bakeoff report outputs/sweeps/NAME --watch
  bakeoff report outputs/sweeps/NAME --as lab -o lab.md

exit codes: 0 done; 2 no run directory, or an option that is not possible; 4 the file cannot be
            written; 7 done, but some runs failed or cannot be read (listed); 75 --watch was ended while
            runs went on""",
    )
    add_paths(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=home_path,
        metavar="FILE",
        help=f"write to this file (default: {FILE}); needed with --as lab",
    )
    parser.add_argument(
        "--as",
        dest="kind",
        choices=(PAGE, LAB),
        default=PAGE,
        help="page: figures to look at; lab: a report to hand in, as Markdown or HTML, with a mark (TO DO) "
        "wherever you must write (default: page)",
    )
    parser.add_argument(
        "--watch", action="store_true", help="write it again while runs go on; the open page reloads itself"
    )
    add_rows(parser)
    add_columns(parser)
    tests = parser.add_argument_group("statistics")
    add_baseline(tests)
    add_max_latency(tests)
    return parser
