"""One trial of a search, as everything outside of Optuna's own calls sees it. No torch here."""

from dataclasses import dataclass
from typing import Any

from bakeoff.runs.states import FAILED, FINISHED, PRUNED, RUNNING

OVER = (FINISHED, PRUNED, FAILED)
STATES = (*OVER, RUNNING)


@dataclass(frozen=True)
class Trial:
    """One set of values, and what came of it."""

    study: str
    number: int  # from 0, in its study
    run: str | None  # the run directory's name below the sweep's folder; None: it never had one
    state: str  # of `STATES`
    params: dict[str, Any]  # dotted key -> value
    values: tuple[float, ...] | None  # of the metrics; None unless it has finished
    epochs: int  # that were trained
    same_as: int | None  # the trial before it with the same values, whose run this is
