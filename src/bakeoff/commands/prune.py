"""`bakeoff prune`: removes weights that nobody will want, after showing which. No torch here.

Of the finished runs of a setting the best by validation keeps its weights. All figures, predictions
and pictures stay, so a comparison shows the same before and after.
"""

import os
import stat
from collections.abc import Sequence
from typing import Any

from bakeoff.arguments import Parser
from bakeoff.comparison.read import Run, read_run
from bakeoff.comparison.validity import is_number
from bakeoff.errors import OK, ConfigError
from bakeoff.runs.locate import distinct_run_dirs, outputs_root, resolve
from bakeoff.runs.rundir import WEIGHTS
from bakeoff.runs.storage import storage_errors
from bakeoff.text import printable

USAGE = "prune [PATH ...]"
SUMMARY = "remove weights that are not the best of their setting"


def prune(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ConfigError: there is no run directory.
        ResourceError: a file cannot be removed.
    """
    options = parser().parse_args(words)
    root = outputs_root()
    paths = [resolve(word, root) for word in options.paths] or [root]
    run_dirs = distinct_run_dirs(paths)
    if not run_dirs:
        raise ConfigError(f"{', '.join(map(str, paths))}: no run directory here; give a PATH")
    runs = [run for run in map(read_run, run_dirs) if isinstance(run, Run)]
    superfluous = [run for run in _not_best(runs) if _weight_bytes(run) is not None]
    total = 0
    for run in superfluous:
        num_bytes = _weight_bytes(run) or 0
        total += num_bytes
        if options.yes:
            with storage_errors(run.path / WEIGHTS):
                (run.path / WEIGHTS).unlink()
        verb = "removed" if options.yes else "would remove"
        print(printable(f"{verb} {run.path / WEIGHTS}  {num_bytes / 2**20:,.1f} MiB"))
    kept = sum(_weight_bytes(run) is not None for run in runs) - (0 if options.yes else len(superfluous))
    verb = "removed" if options.yes else "to remove"
    print(f"{len(superfluous)} files {verb}, {total / 2**20:,.1f} MiB; {kept} kept")
    if superfluous and not options.yes:
        print("nothing was removed; add --yes to do it")
    return OK


def _not_best(runs: Sequence[Run]) -> list[Run]:
    """The runs that another of their setting beats on the validation images.

    Chosen by validation, as weights within a run are. A run without validation scores is never
    beaten: there is nothing to judge it by.
    """
    best: dict[str, Run] = {}
    for run in runs:
        score = _score(run)
        setting = run.summary["setting"]
        if score is not None and (setting not in best or score > (_score(best[setting]) or score)):
            best[setting] = run
    return [run for run in runs if _score(run) is not None and run is not best[run.summary["setting"]]]


def _score(run: Run) -> tuple[float, float] | None:
    """Validation accuracy, ties to the lower NLL."""
    val: Any = run.summary.get("val")
    if isinstance(val, dict) and is_number(val.get("accuracy"), 0, 1) and is_number(val.get("nll")):
        return val["accuracy"], -val["nll"]
    return None


def _weight_bytes(run: Run) -> int | None:
    """Size of a run's weights; None where there are none. A link is not ours to remove."""
    try:
        status = os.lstat(run.path / WEIGHTS)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff prune",
        description="Shows, and with --yes removes, the weights of finished runs that are not the best of "
        "their setting by validation accuracy. Everything else of a run stays.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="as for compare; default: all runs")
    parser.add_argument("--yes", action="store_true", help="really remove them")
    return parser
