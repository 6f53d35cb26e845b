"""How long a run will take, by earlier ones of the same work on the same machine. No torch here.

The same work is the same model on the same data, at the same batch, precision, device and threads; seed,
optimizer and the number of epochs may be others.
"""

import socket
import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.config.canonical import canonical_json, identifying_config
from bakeoff.runs.locate import find_run_dirs
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import CONFIG, ENVIRONMENT, SUMMARY
from bakeoff.text import about, counted

# Keys of the trainer that change how long an epoch takes.
_OF_THE_TRAINER = (
    "batch_size", "accumulate", "device", "precision", "channels_last", "compile", "threads",
    "overfit_batches",
)  # fmt: skip
# What somebody else's files may raise, which may hold anything.
_NOT_WHAT_THEY_SHOULD_BE = (
    UnreadableFileError, KeyError, TypeError, AttributeError, ValueError, ArithmeticError,
)  # fmt: skip


class EarlierRuns:
    """What the finished runs below a folder took."""

    def __init__(self, root: Path) -> None:
        # The work -> seconds of an epoch's training, of its validation, and of all besides (start, test,
        # files), of each run.
        self._seconds: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        for run in find_run_dirs(root):
            with suppress(*_NOT_WHAT_THEY_SHOULD_BE):
                if read_json(run / ENVIRONMENT)["host"] == socket.gethostname():
                    self._add(read_json(run / CONFIG), read_json(run / SUMMARY))

    def _add(self, values: dict[str, Any], summary: dict[str, Any]) -> None:
        times = summary["time"]
        trained, rated, epochs = times["train_seconds"], times["eval_seconds"], summary["epochs_run"]
        besides = max(0.0, times["total_seconds"] - trained - rated)
        if values["trainer"].get("max_seconds") is not None and epochs < values["trainer"]["epochs"]:
            epochs -= 0.5  # the last one was a part of one
        self._seconds[_work(values)].append((trained / epochs, rated / epochs, besides))

    def like(self, values: dict[str, Any]) -> int:
        """How many did the same work."""
        return len(self._seconds.get(_work(values), ()))

    def seconds(self, values: dict[str, Any]) -> float | None:
        """An estimate of the whole run: medians over those like it; None without any."""
        found = self._seconds.get(_work(values))
        if not found:
            return None
        trained, rated, besides = (statistics.median(column) for column in zip(*found, strict=True))
        epochs = float(values["trainer"]["epochs"])
        budget = values["trainer"].get("max_seconds")
        if budget is not None and trained > 0:
            epochs = min(epochs, budget / trained)
        return float(epochs * (trained + rated) + besides)


def told_of(runs: Sequence[dict[str, Any]]) -> str:
    """A line of how long one run, or those of a sweep one after another, will take.

    Args:
        runs: the configs; their outputs root is where earlier runs are looked for.
    """
    earlier = {root: EarlierRuns(Path(root)) for root in {values["output_dir"] for values in runs}}
    found = [earlier[values["output_dir"]].seconds(values) for values in runs]
    known = [seconds for seconds in found if seconds is not None]
    if not known:
        budgets = [values["trainer"].get("max_seconds") for values in runs]
        most = f"; at most {sum(budgets):g} s of training" if None not in budgets else ""
        return (
            "how long it takes is not known: no earlier run on this machine had the same model, data, batch "
            f"size, device and threads{most}"
        )
    early = any(values["trainer"].get("early_stopping_patience_epochs") for values in runs)
    tail = ", or less if it stops early" if early else ""
    if len(runs) == 1:
        like = counted(earlier[runs[0]["output_dir"]].like(runs[0]), "earlier run")
        return f"{about(known[0])}, by {like} of this model on these data{tail}"
    which = "all runs" if len(known) == len(runs) else f"{len(known)} of {counted(len(runs), 'run')}"
    rest = "" if len(known) == len(runs) else "; there is no earlier run like the others"
    return f"{about(sum(known))} for {which}, by earlier ones of the same model and data{tail}{rest}"


def _work(values: dict[str, Any]) -> str:
    kept = identifying_config(values)
    trainer = {name: values["trainer"].get(name) for name in _OF_THE_TRAINER}
    return canonical_json({"model": kept["model"], "data": kept["data"], "trainer": trainer})
