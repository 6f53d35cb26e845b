"""What the runs of a race say of the validation images. No test image has a part in it, and no torch.

Only `predictions_val.npz` decides, after it was checked against the validation scores of `summary.json`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.comparison.validity import checked_outcomes
from bakeoff.errors import ConfigError, ResumeError
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import PREDICTIONS, SUMMARY
from bakeoff.runs.states import FINISHED, state_or_lost

if TYPE_CHECKING:
    from bakeoff.comparison.statistics.race import Values
    from bakeoff.comparison.statistics.values import Metric, Outcomes


@dataclass(frozen=True)
class Evidence:
    """The validation values of some runs."""

    values: "Mapping[str, Values]"  # by configuration; larger is better
    guessing: tuple[Path, ...]  # runs that are right no more often than always naming the largest class
    num_images: int


def finished(runs: Mapping[int, Path]) -> list[int]:
    """The seeds of the runs that have a result."""
    return [seed for seed, run in sorted(runs.items()) if state_or_lost(run).state == FINISHED]


def read_evidence(runs: Mapping[str, Sequence[Path]], metric: "Metric") -> Evidence:
    """Reads the validation predictions of finished runs.

    Args:
        runs: of each configuration, in the order of their seeds.
        metric: what decides.

    Raises:
        ConfigError: there are none, or they are not of the same images.
        ResumeError: some cannot be read, or do not match their run's scores.
    """
    import numpy as np

    from bakeoff.comparison.statistics.values import values_of

    first: tuple[Path, np.ndarray] | None = None
    values: dict[str, Values] = {}
    guessing: list[Path] = []
    size = 0
    for name, own in runs.items():
        rows = []
        for run in own:
            said = _outcomes(run)
            first = first or (run, said.labels)
            if not np.array_equal(said.labels, first[1]):
                raise ConfigError(
                    f"{run}: its validation images are not those of {first[0].name}; "
                    "all that race must be judged on the same"
                )
            size = len(said.labels)
            row = values_of(metric, said)
            rows.append(-row if metric == "nll" else row)
            most = int(np.bincount(said.labels).max())
            if int((said.guesses == said.labels).sum()) <= most:
                guessing.append(run)
        values[name] = np.stack(rows) if rows else np.zeros((0, size))
    return Evidence(values, tuple(guessing), size)


def _outcomes(run: Path) -> "Outcomes":
    try:
        summary = read_json(run / SUMMARY)
        said = checked_outcomes(run, summary, "val") if isinstance(summary.get("val"), dict) else None
    except UnreadableFileError as error:
        raise ResumeError(f"{run}: {error}") from error
    if said is None:
        raise ConfigError(
            f"{run}: no {PREDICTIONS['val']}; a race needs validation images, as with data.val_fraction=0.1"
        )
    return said
