"""What a list says of a run and of a sweep, read with distrust: files may be anybody's. No torch here."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bakeoff.comparison.figures import TOTAL_SECONDS, is_number, number_at, value_at
from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.runs.folders import began_at
from bakeoff.runs.reading import UnreadableFileError, moment, read_json
from bakeoff.runs.rundir import CONFIG, ENVIRONMENT, SUMMARY
from bakeoff.runs.states import DONE, FINISHED, LOST, QUEUED, RUNNING, STATES, RunState, state_or_lost
from bakeoff.runs.stored_overrides import stored_overrides
from bakeoff.runs.studies import is_open, is_sealed
from bakeoff.sweeps.ledger import Entry as LedgerEntry
from bakeoff.sweeps.ledger import Ledger, read_ledger

UNFINISHED = "unfinished"  # a sweep that nobody works on, and in which a run has no result
GONE_STATE = RunState(LOST, "its directory is gone")
_LONGEST_TEXT = 80  # characters of a name; JSON has no more of it either
_MOST_SECONDS = 1e10
_MOST_EPOCH_BYTES = 2**22  # more than ten thousand epochs
# Words of a command line that have a column of their own, or that change no result.
_OWN_COLUMN = ("model", "data", "seed", "output_dir", "data.root", "data.name", "model.name")
_OF_THE_SWEEP = ("sweep.", "hydra.")


@dataclass(frozen=True)
class RunRow:
    """One run."""

    path: Path
    state: RunState
    model: str | None = None
    data: str | None = None  # its title, as tables have it
    data_name: str | None = None
    seed: int | None = None
    val_accuracy: float | None = None  # of the chosen weights; without a result, the best so far
    test_accuracy: float | None = None  # of a finished run only, and not while its race or search goes on
    began: datetime | None = None
    seconds: float | None = None  # from its start to its end, or to its last sign of life

    @property
    def changed(self) -> list[str]:
        """What the command line said besides model, data and seed."""
        return own_words(stored_overrides(self.path))


@dataclass(frozen=True)
class SweepRow:
    """A sweep and how far its runs are."""

    path: Path
    state: str  # running, finished or unfinished
    counts: dict[str, int]  # of its runs by state, in the order of `STATES`
    models: list[str]
    data: list[str]
    seeds: list[int]
    best: RunRow | None  # of the finished ones by validation
    began: datetime | None
    seconds: float  # that its runs took, added up
    line: list[str] = field(default_factory=list)  # the words of its command

    @property
    def num_runs(self) -> int:
        """How many it should have."""
        return sum(self.counts.values())

    @property
    def changed(self) -> list[str]:
        """What its command line said besides models, data and seeds."""
        return own_words(self.line)


def own_words(words: Sequence[str]) -> list[str]:
    """Of the words of a command line those that are told in no column of their own."""
    keys = [(word.lstrip("+~").partition("=")[0], word) for word in words]
    return [word for key, word in keys if key not in _OWN_COLUMN and not key.startswith(_OF_THE_SWEEP)]


def run_row(path: Path, state: RunState | None = None) -> RunRow:
    """What is known of a run; whatever cannot be read is None.

    Args:
        path: the run directory.
        state: how far it is, if that is known already.
    """
    state = state or state_or_lost(path)
    environment = _read(path / ENVIRONMENT)
    began = moment(environment.get("started")) or _moment_at(began_at(path))
    if state.state == FINISHED:
        try:
            values = read_json(path / SUMMARY)
        except UnreadableFileError as error:
            return replace(_of_config(path, state), began=began, state=replace(state, reason=str(error)))
        name = _text(values.get("data"))
        test_accuracy = None if is_sealed(path) else number_at(values, "test.accuracy", 1)
        model, title = _text(values.get("model")), _text(values.get("data_title")) or name
        return RunRow(
            path, state, model, title, name, _seed(values.get("seed")),
            number_at(values, "val.accuracy", 1), test_accuracy, began,
            number_at(values, TOTAL_SECONDS, _MOST_SECONDS),
        )  # fmt: skip
    if state.state == QUEUED:
        return _of_config(path, state)  # it has not begun
    ended = datetime.now(UTC) if state.state == RUNNING else moment(state.heartbeat)
    took = (ended - began).total_seconds() if ended and began and environment else None
    seconds = took if is_number(took, 0, _MOST_SECONDS) else None
    row = _of_config(path, state)
    return replace(row, val_accuracy=_best_so_far(path), began=began, seconds=seconds)


def _best_so_far(path: Path) -> float | None:
    """The best validation accuracy of a run that has no result."""
    lines = EpochLines(path, _MOST_EPOCH_BYTES)
    lines.look()
    return max(lines.accuracies, default=None)


def _of_config(path: Path, state: RunState) -> RunRow:
    values = _read(path / CONFIG)
    name = _text(value_at(values, "data.name"))
    title = _text(value_at(values, "data.title")) or name
    return RunRow(path, state, _text(value_at(values, "model.name")), title, name, _seed(values.get("seed")))


def runs_of(found: Sequence[Path], ledger: Ledger | None) -> dict[Path, RunState]:
    """The runs of a sweep and how far each is: those that it should have in its order, then others there.

    Args:
        found: the run directories in its folder.
        ledger: what it should have, if it says so.
    """
    expected = {ledger.run(entry): entry for entry in ledger.entries.values()} if ledger else {}
    states = {path: state_or_lost(path) for path in found}
    return {path: states.get(path) or GONE_STATE for path in (*expected, *states)}


def run_rows(found: Sequence[Path], ledger: Ledger | None) -> list[RunRow]:
    """The same as rows; of one whose directory is gone there is what the ledger says."""
    entries = {ledger.run(entry): entry for entry in ledger.entries.values()} if ledger else {}
    return [
        gone_row(path, entries[path]) if state == GONE_STATE else run_row(path, state)
        for path, state in runs_of(found, ledger).items()
    ]


def gone_row(path: Path, entry: LedgerEntry) -> RunRow:
    """A run that a sweep should have, and whose directory is not there."""
    return RunRow(path, GONE_STATE, entry.model, entry.data, entry.data, entry.seed)


def sweep_row(sweep: Path, found: Sequence[Path]) -> SweepRow:
    """What is known of a sweep.

    Args:
        sweep: its folder.
        found: the run directories in it.
    """
    ledger = ledger_of(sweep)
    states = runs_of(found, ledger)
    rows = [run_row(path, state) for path, state in states.items() if _counts(state, ledger)]
    return _summed(sweep, ledger, states.values(), rows)


def sweep_and_runs(sweep: Path, found: Sequence[Path]) -> tuple[SweepRow, list[RunRow], Ledger | None]:
    """The same with the rows of its runs, those that it should have first, and its ledger."""
    ledger = ledger_of(sweep)
    rows = run_rows(found, ledger)
    counted = [row for row in rows if _counts(row.state, ledger)]
    return _summed(sweep, ledger, [row.state for row in rows], counted), rows, ledger


def _counts(state: RunState, ledger: Ledger | None) -> bool:
    """Whether a sweep's row has to know of a run more than its state; a ledger says the rest."""
    return state.state == FINISHED or ledger is None


def _summed(
    sweep: Path, ledger: Ledger | None, states: Iterable[RunState], rows: Sequence[RunRow]
) -> SweepRow:
    counts = Counter(state.state for state in states)
    entries = ledger.entries.values() if ledger else ()
    began = moment(ledger.created) if ledger else min((row.began for row in rows if row.began), default=None)
    rated = [row for row in rows if row.state.state == FINISHED and row.val_accuracy is not None]
    return SweepRow(
        path=sweep,
        state=_state_of_sweep(sweep, ledger, counts),
        counts={state: counts[state] for state in _ordered(counts)},
        models=_known([*(entry.model for entry in entries), *(row.model for row in rows)]),
        data=_known([*(entry.data for entry in entries), *(row.data for row in rows)]),
        seeds=_known([*(entry.seed for entry in entries), *(row.seed for row in rows)]),
        best=max(rated, key=lambda row: row.val_accuracy or 0.0, default=None),
        began=began,
        seconds=sum(row.seconds or 0.0 for row in rows),
        line=[word for word in ledger.line if len(word) < 1000] if ledger else [],
    )


def ledger_of(sweep: Path) -> Ledger | None:
    """A sweep's ledger; None if it has none that can be read, as sweeps of older versions."""
    with suppress(UnreadableFileError, ValueError, TypeError, AttributeError):
        return read_ledger(sweep)
    return None


def _state_of_sweep(sweep: Path, ledger: Ledger | None, counts: Counter[str]) -> str:
    if (ledger and ledger.is_worked_on) or (ledger is None and counts[RUNNING]):
        return RUNNING
    return FINISHED if set(counts) <= {*DONE} and not is_open(sweep) else UNFINISHED


def _ordered(counts: Counter[str]) -> list[str]:
    known = [state for state in (FINISHED, RUNNING, QUEUED, *STATES) if counts[state]]
    return list(dict.fromkeys([*known, *sorted(counts)]))


def _known(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(value for value in values if value is not None))


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except UnreadableFileError:
        return {}


def _text(value: Any) -> str | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) and value else None


def _seed(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**63 else None


def _moment_at(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
