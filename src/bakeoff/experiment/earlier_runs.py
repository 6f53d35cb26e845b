"""How long a run will take, by earlier ones of the same work on the same machine. No torch here.

The same work is the same model on the same data, at the same batch, precision, device and threads, with as
many runs at once; seed, optimizer and the number of epochs may be others.
"""

import heapq
import socket
import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.config.canonical import canonical_json, identifying_config
from bakeoff.runs.locate import find_run_dirs
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import CONFIG, ENVIRONMENT, SUMMARY
from bakeoff.text import about, counted, duration

# Keys of the trainer that change how long an epoch takes.
_OF_THE_TRAINER = (
    "batch_size", "accumulate", "device", "precision", "channels_last", "compile", "overfit_batches",
)  # fmt: skip
# What somebody else's files may raise, which may hold anything.
_NOT_WHAT_THEY_SHOULD_BE = (
    UnreadableFileError, KeyError, TypeError, AttributeError, ValueError, ArithmeticError,
)  # fmt: skip


@dataclass(frozen=True)
class Share:
    """What a run has of the machine."""

    threads: int | None = None  # where its config names no number; None: not known
    jobs_at_once: int = 1


class EarlierRuns:
    """What the finished runs below a folder took."""

    def __init__(self, root: Path) -> None:
        # The work -> seconds of an epoch's training, of its validation, and of all besides (start, test,
        # files), of each run.
        self._seconds: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        for run in find_run_dirs(root):
            with suppress(*_NOT_WHAT_THEY_SHOULD_BE):
                environment = read_json(run / ENVIRONMENT)
                if environment["host"] == socket.gethostname():
                    share = Share(environment.get("threads"), environment.get("jobs_at_once", 1))
                    self._add(read_json(run / CONFIG), read_json(run / SUMMARY), share)

    def _add(self, values: dict[str, Any], summary: dict[str, Any], share: Share) -> None:
        trainer = values["trainer"]
        times = summary["time"]
        trained, rated, epochs = times["train_seconds"], times["eval_seconds"], summary["epochs_run"]
        besides = max(0.0, times["total_seconds"] - trained - rated)
        if trainer.get("max_seconds") is not None and epochs < trainer["epochs"]:
            epochs -= 0.5  # the last one was a part of one
        self._seconds[_work(values, share)].append((trained / epochs, rated / epochs, besides))

    def like(self, values: dict[str, Any], share: Share) -> int:
        """How many did the same work with the same share of the machine."""
        return len(self._seconds.get(_work(values, share), ()))

    def seconds(self, values: dict[str, Any], share: Share) -> float | None:
        """An estimate of the whole run: medians over those like it; None without any."""
        found = self._seconds.get(_work(values, share))
        if not found:
            return None
        trained, rated, besides = (statistics.median(column) for column in zip(*found, strict=True))
        epochs = float(values["trainer"]["epochs"])
        budget = values["trainer"].get("max_seconds")
        if budget is not None and trained > 0:
            epochs = min(epochs, budget / trained)
        return float(epochs * (trained + rated) + besides)


def estimates(runs: Sequence[dict[str, Any]], share: Share) -> list[float | None]:
    """Seconds that each run will take; None where no earlier run did the same work.

    Args:
        runs: the configs; their outputs root is where earlier runs are looked for.
        share: what each has of the machine.
    """
    earlier = {root: EarlierRuns(Path(root)) for root in {values["output_dir"] for values in runs}}
    return [earlier[values["output_dir"]].seconds(values, share) for values in runs]


def told_of_run(values: dict[str, Any], share: Share) -> str:
    """A line of how long one run will take."""
    earlier = EarlierRuns(Path(values["output_dir"]))
    seconds = earlier.seconds(values, share)
    if seconds is None:
        return _not_known([values], share)
    like = counted(earlier.like(values, share), "earlier run")
    return f"{about(seconds)}, by {like} of this model on these data{_if_early([values])}"


def told_of_all(runs: Sequence[dict[str, Any]], seconds: Sequence[float | None], share: Share) -> str:
    """A line of how long several runs will take, with so many at once.

    Args:
        runs: the configs.
        seconds: of each, as `estimates` gives them.
        share: what each has of the machine.
    """
    known = [each for each in seconds if each is not None]
    if not known:
        return _not_known(runs, share)
    which = (
        f"{len(known)} of {counted(len(runs), 'run')}"
        if len(known) < len(runs)
        else counted(len(runs), "run")
    )
    at_once = min(share.jobs_at_once, len(runs))
    side = f", {at_once} at once" if at_once > 1 else ""
    rest = "" if len(known) == len(runs) else "; there is no earlier run like the others"
    took = about(until_the_last(known, share.jobs_at_once))
    return f"{took} for {which}{side}, by earlier ones of the same model and data{_if_early(runs)}{rest}"


def until_the_last(seconds: Sequence[float], at_once: int, running: Sequence[float] = ()) -> float:
    """How long runs take in all, where whoever is free first takes the next one.

    Args:
        seconds: of those that wait, in their order.
        at_once: how many there may be at a time.
        running: what is left of those that run already.
    """
    free = [*running, *[0.0] * (at_once - len(running))]
    heapq.heapify(free)
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def _not_known(runs: Sequence[dict[str, Any]], share: Share) -> str:
    budgets = [values["trainer"].get("max_seconds") for values in runs]
    most = ""
    if None not in budgets:
        most = f"; at most {duration(until_the_last(budgets, share.jobs_at_once))} of training"
    what = "device and threads"
    if share.jobs_at_once > 1:
        what = f"device and threads, with {share.jobs_at_once} runs at once"
    return (
        "how long it takes is not known: no earlier run on this machine had the same model, data, batch "
        f"size, {what}{most}"
    )


def _if_early(runs: Sequence[dict[str, Any]]) -> str:
    early = any(values["trainer"].get("early_stopping_patience_epochs") for values in runs)
    return ", or less if it stops early" if early else ""


def _work(values: dict[str, Any], share: Share) -> str:
    kept = identifying_config(values)
    trainer = {name: values["trainer"].get(name) for name in _OF_THE_TRAINER}
    threads = values["trainer"].get("threads") or share.threads
    return canonical_json(
        {
            "model": kept["model"],
            "data": kept["data"],
            "trainer": trainer,
            "share": [threads, share.jobs_at_once],
        }
    )
