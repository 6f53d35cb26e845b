"""`bakeoff prune`: removes weights that nobody will want, after showing which. No torch here.

Of the finished runs of a row of the comparison the best by validation keeps its weights. Only scores that
match the stored predictions are judged by, and only weights that are whole take the place of others. All
figures, predictions and pictures stay, so a comparison shows the same before and after.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from bakeoff.arguments import Parser, add_colour
from bakeoff.comparison.counted import distinct
from bakeoff.comparison.read import guarded, read_run
from bakeoff.comparison.rows import by_row, by_table
from bakeoff.comparison.run import Problem, Run, folded
from bakeoff.comparison.validity import checked_validation
from bakeoff.errors import OK, ConfigError
from bakeoff.runs.locate import distinct_run_dirs, outputs_root, resolve
from bakeoff.runs.rundir import WEIGHTS
from bakeoff.runs.storage import storage_errors
from bakeoff.runs.weight_files import has_whole_weights, weight_bytes
from bakeoff.terminal import line_width, painted, wants_colour, wrapped
from bakeoff.text import counted, printable

USAGE = "prune [PATH ...]"
SUMMARY = "keep only the best weights of each configuration"


def prune(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: no run directory is found.
        ResourceError: a file cannot be removed.
    """
    if given := {"--dry-run", "-n"} & set(words):
        raise ConfigError(f"{given.pop()}: leave it out; files are only shown unless --yes is given")
    options = parser().parse_args(words)
    root = outputs_root()
    paths = [resolve(word, root) for word in dict.fromkeys(options.paths)] or [root]
    run_dirs = distinct_run_dirs(paths)
    if not run_dirs:
        raise ConfigError(f"{', '.join(map(str, paths))}: no run directory here; give a PATH")
    found = [read_run(path) for path in run_dirs]
    runs = [run for run in found if isinstance(run, Run)]
    choices, unjudged = _choices(runs)
    problems = [item for item in found if isinstance(item, Problem)] + unjudged
    colour, width = wants_colour(sys.stdout, options.color), line_width(sys.stdout)

    def say(verb: str, text: str, style: str = "") -> None:
        for line in wrapped(printable(text), width, "    ", f"{verb} "):
            print(painted(line, style, colour))

    total = 0
    for choice in choices:
        say("keep", choice.reason, "green")
        for run in choice.superfluous:
            num_bytes = weight_bytes(run.path) or 0
            total += num_bytes
            if options.yes:
                with storage_errors(run.path / WEIGHTS):
                    (run.path / WEIGHTS).unlink()
            say(
                "removed" if options.yes else "would remove",
                f"{run.path / WEIGHTS} ({shown_size(num_bytes)})",
            )
    named = {run.path for choice in choices for run in (choice.best, *choice.superfluous)}
    named |= {problem.path for problem in problems}
    for run in runs:
        if run.path not in named and weight_bytes(run.path) is not None:
            say("keep", f"{run.path / WEIGHTS}: no second run of its configuration to compare with", "green")
    for problem in folded(problems):
        say("left alone", f"{problem.path}: {problem.reason}", "dim")
    num_superfluous = sum(len(choice.superfluous) for choice in choices)
    kept = sum(weight_bytes(run.path) is not None for run in runs) - (0 if options.yes else num_superfluous)
    verb = "removed" if options.yes else "to remove"
    print(f"{counted(num_superfluous, 'file')} {verb}, {shown_size(total)}; {kept} kept")
    if choices and not options.yes:
        print("nothing was removed; add --yes to do it")
    return OK


class _Choice(NamedTuple):
    """The run of a configuration that keeps its weights, and those that do not."""

    best: Run
    accuracy: float  # of validation
    superfluous: list[Run]

    @property
    def reason(self) -> str:
        """Which run is kept, and why."""
        total = len(self.superfluous) + 1
        of = f"of {total} runs of {self.best.summary['model']} on {self.best.data_title}"
        return f"{self.best.path / WEIGHTS}: best {of} by validation accuracy ({self.accuracy * 100:.2f} %)"


def _choices(runs: Sequence[Run]) -> tuple[list[_Choice], list[Problem]]:
    """The runs whose weights another run of their row makes superfluous, and those that cannot be judged.

    Chosen by validation, as weights within a run are. A run whose scores nothing confirms, or that claims
    to be the same run as another with other results, beats none and is never beaten.
    """
    problems = [problem for problem in distinct(runs)[1] if not problem.harmless]
    disputed = {problem.path for problem in problems}
    choices: list[_Choice] = []
    for table in by_table(run for run in runs if run.has_predictions and run.path not in disputed):
        for row in by_row(table.runs):
            holders = [run for run in row.runs if weight_bytes(run.path) is not None]
            # Damaged weights take the place of no whole ones.
            holders = [run for run in holders if has_whole_weights(run.path)] or holders
            scores = {run.path: _score(run) for run in holders} if len(holders) > 1 else {}
            problems += [score for score in scores.values() if isinstance(score, Problem)]
            judged = [(score, run) for run in holders if isinstance(score := scores.get(run.path), tuple)]
            best = max(judged, key=lambda item: item[0], default=None)
            if best and len(judged) > 1:
                others = [run for _, run in judged if run is not best[1]]
                choices.append(_Choice(best[1], best[0][0], others))
    return choices, problems


def _score(run: Run) -> tuple[float, float] | Problem | None:
    """Validation accuracy, ties to the lower NLL; None where it stored no predictions of them."""
    checked = guarded(run.path, lambda: checked_validation(run.path, run.summary))
    return (checked[0], -checked[1]) if isinstance(checked, tuple) else checked


def shown_size(num_bytes: int) -> str:
    """In the largest unit that leaves a digit before the point."""
    size, units = float(num_bytes), ["bytes", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:,.0f} {units[0]}" if units[0] == "bytes" else f"{size:,.1f} {units[0]}"


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff prune",
        description="Keeps, for each configuration (one row of the table of compare), the weights of the run "
        "with the best validation accuracy. Shows which weights of its other runs can "
        "be deleted, and deletes them with --yes. Everything else of a run stays; without its weights a "
        "run can be compared, but not evaluated again.",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a run directory or a folder to search, as for compare; default: all runs",
    )
    parser.add_argument("--yes", action="store_true", help="remove the files; without it they are only shown")
    add_colour(parser)
    return parser
