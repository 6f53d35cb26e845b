"""What `bakeoff show RUN` reads of a run directory, which may be anybody's. No torch here."""

import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakeoff.commands.next_steps import EVALUATE, Steps, of_run
from bakeoff.comparison.read import read_run
from bakeoff.comparison.run import Problem, Run
from bakeoff.config.usual import differences, usual_words
from bakeoff.runs.epoch_lines import EpochLines
from bakeoff.runs.reading import UnreadableFileError, read_json, read_tail
from bakeoff.runs.records import EpochRecord
from bakeoff.runs.rundir import CONFIG, LOG, PLOTS
from bakeoff.runs.states import DIVERGED, FAILED, FINISHED, INTERRUPTED, LOST, PRUNED
from bakeoff.runs.stored_overrides import stored_overrides
from bakeoff.runs.studies import is_sealed
from bakeoff.sweeps.rows import RunRow, run_row
from bakeoff.text import cut

_LOG_LINES, _LOG_BYTES, _LONGEST_LINE = 10, 65_536, 300
_MOST_PICTURES = 20
CURVES = "curves.png"  # of training and validation alone


@dataclass(frozen=True)
class Shown:
    """What was read of a run."""

    row: RunRow
    run: Run | None  # a finished one whose figures hold
    reason: str | None  # why it has no result
    usual: list[str] | None  # the command line with which its config is compared; None: there is none
    config: dict[str, tuple[Any, Any]]  # what differs from that
    overrides: list[str]
    epochs: list[EpochRecord]
    num_epochs: int  # that it was to have at most
    pictures: list[Path]  # none of test images while its race or search goes on
    log: list[str]  # its last lines, of a run that has ended without a result
    steps: Steps = field(default_factory=dict)
    is_sealed: bool = False  # its race or search goes on: its test images are closed


def look_at(path: Path) -> Shown:
    """Reads a run directory; what cannot be read is left out."""
    sealed = is_sealed(path)
    row = run_row(path)
    found = read_run(path) if row.state.state == FINISHED else None
    reason = found.reason if isinstance(found, Problem) else row.state.reason
    values: dict[str, Any] = {}
    with suppress(UnreadableFileError):
        values = read_json(path / CONFIG)
    usual = usual_words(values)
    epochs = EpochLines(path)
    epochs.look()
    trainer = values.get("trainer")
    limit = trainer.get("epochs") if isinstance(trainer, dict) else None
    most = max([record.epoch for record in epochs.records], default=0)
    return Shown(
        row=row,
        run=found if isinstance(found, Run) else None,
        reason=reason,
        usual=usual[0] if usual else None,
        config=differences(values, usual[1]) if usual else {},
        overrides=stored_overrides(path),
        epochs=epochs.records,
        num_epochs=max(most, limit) if type(limit) is int and limit < 10**6 else most,
        pictures=[one for one in _pictures(path) if not sealed or one.name == CURVES],
        log=_log(path) if row.state.state in (FAILED, DIVERGED, LOST, INTERRUPTED, PRUNED) else [],
        steps={name: step for name, step in of_run(row).items() if not sealed or name != EVALUATE},
        is_sealed=sealed,
    )


def _pictures(path: Path) -> list[Path]:
    with suppress(OSError):
        if stat.S_ISDIR((path / PLOTS).lstat().st_mode):
            found = sorted((path / PLOTS).glob("*.png"))
            return [picture for picture in found if stat.S_ISREG(picture.lstat().st_mode)][:_MOST_PICTURES]
    return []


def _log(path: Path) -> list[str]:
    try:
        text = read_tail(path / LOG, _LOG_BYTES).decode(errors="replace")
    except UnreadableFileError:
        return []
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    return [cut(line, _LONGEST_LINE) for line in lines[-_LOG_LINES:]]
