"""How the runs without a result have learned so far: those that go on, and those that ended early."""

import os
from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparison.history import read_history
from bakeoff.comparison.run import Problem
from bakeoff.report.charts.curves import curve_figure
from bakeoff.report.charts.figure import Figure
from bakeoff.report.charts.theme import distinct
from bakeoff.report.learning import points_of
from bakeoff.runs.rundir import SUMMARY
from bakeoff.text import cut, printable

KEY = "unfinished"  # the beginning of its anchor
_MOST_RUNS = 24
_LONGEST_NAME = 60  # characters


def has_result(run: Path) -> bool:
    """Whether a run that is in no table has finished: it is there twice, or its figures do not hold."""
    return os.path.lexists(run / SUMMARY)


def unfinished_figure(problems: Sequence[Problem]) -> Figure | None:
    """Their learning curves; None if none has finished an epoch."""
    names: dict[int, str] = {}
    points = []
    for number, problem in enumerate(problems, 1):
        if problem.waits or has_result(problem.path) or len(names) == _MOST_RUNS:
            continue
        state, _, _ = problem.reason.partition(":")
        if found := list(points_of(number, [read_history(problem.path)])):
            names[number] = cut(f"{printable(problem.path.name)} ({printable(state)})", _LONGEST_NAME)
            points += found
    called = dict(zip(names, distinct(list(names.values()), first=1), strict=True))
    return curve_figure(points, called) if points else None
