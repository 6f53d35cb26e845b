"""How long a sweep will still take, by what its own runs have taken. No torch here."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.experiment.earlier_runs import until_the_last
from bakeoff.runs.records import EpochRecord
from bakeoff.runs.states import FINISHED, INTERRUPTED, QUEUED, RUNNING

if TYPE_CHECKING:
    from bakeoff.sweeps.standing import JobStanding


def epochs_left_seconds(
    records: Sequence[EpochRecord], epochs: int, budget: float | None, since: float
) -> float | None:
    """Seconds until a run's last epoch is over: by its median epoch, since the first one may compile.

    Args:
        records: its epochs so far, at least one.
        epochs: how many there are to be at most.
        budget: most seconds of training; None: as many as it takes.
        since: seconds since the last of the records.

    Returns:
        None if the records do not say how long an epoch took.
    """
    took = [record.train_seconds + record.eval_seconds for record in records]
    took = [seconds for seconds in took if seconds >= 0]  # and no NaN
    if not took:
        return None
    epoch = statistics.median(took)
    left = float(epochs - records[-1].epoch)  # in epochs
    if budget is not None:
        trained = [record.train_seconds for record in records if record.train_seconds >= 0]
        left = min(left, max(0.0, budget - sum(trained)) / max(statistics.median(trained), 1e-9))
    # The epoch that is under way may be longer than those before it: then this much is not over.
    return max(0.0, left * epoch - min(since, epoch))


def medians(jobs: Sequence["JobStanding"]) -> dict[tuple[str, str], float]:
    """Seconds that a run of a model on some data takes: of finished runs, else of those that run."""
    finished: dict[tuple[str, str], list[float]] = defaultdict(list)
    foreseen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for job in jobs:
        key = (job.entry.model, job.entry.data)
        if job.state.state == FINISHED and job.seconds is not None:
            finished[key].append(job.seconds)
        elif job.state.state == RUNNING and job.seconds is not None and job.left is not None:
            foreseen[key].append(job.seconds + job.left)
    return {key: statistics.median(values) for key, values in {**foreseen, **finished}.items()}


def with_estimate(job: "JobStanding", known: dict[tuple[str, str], float]) -> "JobStanding":
    """Before its first epoch is over, a run is expected to take what others of its model took.

    Once that time is over, nothing is known.
    """
    expected = known.get((job.entry.model, job.entry.data))
    if job.left is not None or job.seconds is None or expected is None or job.seconds > expected:
        return job
    return replace(job, left=expected - job.seconds)


def left_for_all(
    jobs: Sequence["JobStanding"], known: dict[tuple[str, str], float], at_once: int, to_come: int = 0
) -> tuple[float | None, bool]:
    """Seconds until the last run is over: whoever is free first takes the next one.

    Args:
        jobs: all runs that there are.
        known: seconds that a run of a model on some data takes.
        at_once: how many there are at a time.
        to_come: how many others there will be, of any of these models.

    Returns:
        None if nothing is known; and whether nothing is known of some, so that it takes longer.
    """
    running = [job.left for job in jobs if job.state.state == RUNNING]
    waiting = [
        None if (whole := known.get((job.entry.model, job.entry.data))) is None else whole * (1 - job.share)
        for job in jobs
        if job.state.state in (QUEUED, INTERRUPTED)
    ]
    waiting += [statistics.median(known.values()) if known else None] * to_come
    unknown = [seconds is None for seconds in (*running, *waiting)]
    if all(unknown):
        return None, False
    until = until_the_last(
        [seconds or 0.0 for seconds in waiting], at_once, [seconds or 0.0 for seconds in running]
    )
    return until, any(unknown)
