"""What the directory of a trial's run says of it. No torch here."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.comparison.figures import number_at
from bakeoff.runs.checkpoints import Checkpoints
from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import LAST_WEIGHTS, SUMMARY
from bakeoff.sweeps.search.metrics import Metric

_MOST_EPOCHS = 10**9


def values_of_run(run: Path, metrics: Sequence[Metric]) -> tuple[float, ...] | None:
    """The metrics of a finished run; None if one of them is missing. Nothing of the test images is read."""
    try:
        summary = read_json(run / SUMMARY, attempts=2)
    except UnreadableFileError:
        return None
    summary.pop("test", None)
    values = [metric.value(summary) for metric in metrics]
    known = [value for value in values if value is not None]
    return tuple(known) if len(known) == len(values) else None


def reason_to_fail(metrics: Sequence[Metric]) -> str:
    """Of a run that finished without a value."""
    return f"its {SUMMARY} has no {' or '.join(metric.name for metric in metrics)}"


def epochs_of(run: Path) -> int:
    """How many epochs were trained, as far as its files say."""
    with suppress(UnreadableFileError):
        if (found := number_at(read_json(run / SUMMARY, attempts=2), "epochs_run", _MOST_EPOCHS)) is not None:
            return int(found)
    lines = EpochLines(run)
    lines.look()
    return lines.records[-1].epoch if lines.records else 0


def forget_checkpoints(run: Path) -> None:
    """A trial that was stopped early never goes on."""
    Checkpoints(run, keep=1).remove()
    with suppress(OSError):
        (run / LAST_WEIGHTS).unlink(missing_ok=True)
