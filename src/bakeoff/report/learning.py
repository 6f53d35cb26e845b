"""How the runs of each row learned, epoch by epoch: means and the range over the seeds."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparison.figures import MOST, is_number
from bakeoff.comparison.history import History, read_history
from bakeoff.comparison.tables import Table

# What is drawn: its name in `epochs.jsonl`, and as an axis calls it.
SCORES = {
    "val.accuracy": "validation accuracy",
    "val.nll": "validation loss (NLL)",
    "train_loss": "training loss",
}
_POSSIBLE = {"val.accuracy": (0.0, 1.0), "val.nll": (0.0, MOST), "train_loss": (-MOST, MOST)}
PROGRESS = {"epoch": "epochs", "images": "training images seen", "seconds": "seconds of training"}
_MOST_POINTS = 60_000  # of all rows: 4 MB of a page
_FEWEST_EPOCHS, _MOST_EPOCHS = 50, 400  # of a row: more than a drawing has room for


@dataclass(frozen=True)
class Point:
    """One epoch of one row."""

    number: int  # of the row
    epoch: int
    images: float | None  # seen until then, mean over the runs that came so far
    seconds: float | None
    score: str
    mean: float
    low: float  # of the lowest and the highest run
    high: float
    num_runs: int


def learning_points(table: Table) -> list[Point]:
    """The epochs of all rows under all scores, in the table's order; of very many some, evenly spaced."""
    room = _MOST_POINTS // (len(SCORES) * len(table.settings))
    return [
        point
        for row in table.settings
        for point in points_of(row.number, [read_history(run.path) for run in row.members], room)
    ]


def points_of(number: int, histories: Sequence[History], room: int = _MOST_EPOCHS) -> Iterator[Point]:
    """The epochs of one row; of an epoch that some runs did not reach, the mean of the others.

    Args:
        number: the row's.
        histories: of its runs.
        room: how many epochs may come; the first and the last always do.
    """
    progress = [_progress(history) for history in histories]
    for epoch in _some(sorted(set().union(*progress)), min(max(room, _FEWEST_EPOCHS), _MOST_EPOCHS)):
        reached = [history[epoch] for history in progress if epoch in history]
        for score in SCORES:
            values = [record[score] for record in reached if record[score] is not None]
            if values:
                yield Point(
                    number,
                    epoch,
                    _mean([record["images"] for record in reached]),
                    _mean([record["seconds"] for record in reached]),
                    score,
                    statistics.fmean(values),
                    min(values),
                    max(values),
                    len(values),
                )


def _some(epochs: Sequence[int], most: int) -> Sequence[int]:
    """At most so many of them, evenly spaced."""
    if len(epochs) <= most:
        return epochs
    return [epochs[place * (len(epochs) - 1) // (most - 1)] for place in range(most)]


def _progress(history: History) -> dict[int, dict[str, Any]]:
    """Epoch -> its scores, and how many images and seconds it took until its end."""
    records: dict[int, dict[str, Any]] = {}
    images, seconds = 0.0, 0.0
    for line in history:
        epoch = line.get("epoch")
        if type(epoch) is not int or not 0 <= epoch < 10**6:
            continue
        took, rate = line.get("train_seconds"), line.get("train_images_per_second")
        # From an epoch on whose time is unknown, so is the sum.
        seconds += took if is_number(took, 0, MOST) else float("nan")
        images += took * rate if is_number(took, 0, MOST) and is_number(rate, 0, MOST) else float("nan")
        records[epoch] = {
            name: float(line[name]) if is_number(line.get(name), low, high) else None
            for name, (low, high) in _POSSIBLE.items()
        } | {"seconds": seconds, "images": images}
    return records


def _mean(values: Sequence[float]) -> float | None:
    mean = statistics.fmean(values)
    return mean if mean < MOST else None  # and no NaN
