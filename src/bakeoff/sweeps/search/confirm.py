"""The best configurations of a search with new seeds: which ones, and what the new runs say. No torch."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY
from bakeoff.sweeps.search.evidence import values_of_run
from bakeoff.sweeps.search.metrics import METRICS, MINIMIZE
from bakeoff.sweeps.search.trial import Trial

_LEVEL = 0.975  # on each side of a 95 % interval


def to_confirm(trials: Sequence[Trial], directions: Sequence[str], count: int) -> list[Trial]:
    """The best finished trials of a study, the best first, by the first metric; ties to the smaller number.

    Args:
        trials: of one study.
        directions: of the metrics. Of several metrics only trials are taken that no other one beats in all.
        count: how many at most.
    """
    signs = [1 if direction == MINIMIZE else -1 for direction in directions]
    costs = {  # to be small
        trial.number: tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))
        for trial in trials
        if trial.values is not None and trial.same_as is None
    }
    done = sorted(
        (trial for trial in trials if trial.number in costs),
        key=lambda trial: (costs[trial.number][0], trial.number),
    )
    distinct: list[Trial] = []
    for trial in done:
        beaten = len(signs) > 1 and any(_beats(other, costs[trial.number]) for other in costs.values())
        if not beaten and not any(trial.params == other.params for other in distinct):
            distinct.append(trial)
    return distinct[:count]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is nowhere worse and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def confirmed(
    folder: Path,
    trials: Sequence[Trial],
    runs: Mapping[tuple[str, int], Sequence[str]],
    metrics: Sequence[str],
) -> list[dict[str, Any]]:
    """What the new runs say, by the first metric, as `tune.json` has it.

    Args:
        folder: the sweep's.
        trials: that were trained again, the best of each study first.
        runs: their finished new runs, folders below the sweep's, by study and number.
        metrics: of the search.
    """
    rows: list[dict[str, Any]] = []
    for trial in trials:
        assert trial.values is not None
        own = runs.get((trial.study, trial.number), ())
        found = {name: values_of_run(folder / name, [METRICS[metrics[0]]]) for name in own}
        values = [value[0] for value in found.values() if value is not None]
        low, high = _interval(values, is_share=metrics[0] in ("val.accuracy", "val.macro_f1"))
        rows.append(
            {
                "study": trial.study,
                "rank": 1 + sum(row["study"] == trial.study for row in rows),
                "number": trial.number,
                "setting": next((_setting(folder / name) for name in own), None),
                "runs": list(own),
                "search": trial.values[0],
                "mean": statistics.fmean(values) if values else None,
                "low": low,
                "high": high,
            }
        )
    return rows


def _interval(values: Sequence[float], *, is_share: bool) -> tuple[float | None, float | None]:
    """The 95 % interval of their mean, by Student's t; none of fewer than two."""
    if len(values) < 2:
        return None, None
    from bakeoff.comparison.statistics.classical import student_quantile  # SciPy takes a third of a second

    mean, size = statistics.fmean(values), len(values)
    half = student_quantile(_LEVEL, size - 1) * statistics.stdev(values) / math.sqrt(size)
    return (max(0.0, mean - half), min(1.0, mean + half)) if is_share else (mean - half, mean + half)


def _setting(run: Path) -> str | None:
    try:
        found = read_json(run / SUMMARY, attempts=2).get("setting")
    except UnreadableFileError:
        return None
    return found if isinstance(found, str) else None
