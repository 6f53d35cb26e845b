"""How many seeds each pair of a table needs to show a difference of some size. No torch here."""

import math
from dataclasses import replace

from bakeoff.comparison.statistics.planning import MOST_RUNS, needed
from bakeoff.comparison.tables import PairNeed, Plan, SettingRow, Table
from bakeoff.text import counted

FEWEST_RUNS = 3  # from which the noise of the seeds is known well enough


def with_plan(table: Table, points: float) -> Table:
    """Adds what each tested pair needs.

    Args:
        table: with its pairs.
        points: the difference of accuracies to be shown, in points of a percent.
    """
    tested = [pair for pair in table.pairs if pair.metric == "accuracy"]
    needs = []
    for pair in tested:
        a, b = table.row(pair.a), table.row(pair.b)
        found = needed(pair.result, pair.num_images, len(tested), points / 100)
        need = PairNeed(
            pair.a,
            pair.b,
            runs=found.runs if found else None,
            best_possible=found.best_possible if found else None,
            images=found.images if found else None,
        )
        says = f"{a.label} and {b.label}: {_sentence(need, a, b, points)}"
        if pair.differs:
            says += f" (they are shown to differ by {abs(pair.result.difference) * 100:.2f} points)"
        needs.append(replace(need, says=says))
    return replace(table, plan=Plan(points, tuple(needs)))


def _sentence(need: PairNeed, a: SettingRow, b: SettingRow, points: float) -> str:
    fewest = min(a.num_runs, b.num_runs)
    if fewest == 1:
        return f"one run says nothing about seeds; train {FEWEST_RUNS} seeds of each first"
    if need.best_possible is None:
        return "cannot be planned: nothing varies between their runs"
    if need.runs is not None:
        text = f"{counted(need.runs, 'seed')} of each"
        text += ", and so many there are" if need.runs <= fewest else ""
    elif need.best_possible * 100 <= points:
        text = f"more than {MOST_RUNS:,} seeds of each"
    else:
        text = f"these images cannot show it; at best {need.best_possible * 100:.2f} points"
        text += f", with endless seeds; about {_rounded(need.images):,} could" if need.images else ""
    return text + ("; 2 runs plan badly: train 3 first" if fewest < FEWEST_RUNS else "")


def _rounded(count: int) -> int:
    """Up to two digits: an estimate is not known better."""
    unit = int(10 ** max(0, len(str(count)) - 2))
    return math.ceil(count / unit) * unit
