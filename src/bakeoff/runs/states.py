"""How far a run is, in one word: what its directory says, and whether its process lives. No torch here.

queued        waits for its turn in a sweep, however long; nothing of it was done
running       its process lives
interrupted   stopped by a signal, and saved
failed        ended by an error
diverged      ended because its numbers became infinite
lost          its process is gone, and nothing says why
pruned        stopped early by a search; it is never resumed
finished      it has its result
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bakeoff.runs.liveness import is_alive
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import STATUS, SUMMARY

QUEUED, RUNNING, INTERRUPTED, FAILED = "queued", "running", "interrupted", "failed"
DIVERGED, LOST, PRUNED, FINISHED = "diverged", "lost", "pruned", "finished"
STATES = (QUEUED, RUNNING, INTERRUPTED, FAILED, DIVERGED, LOST, PRUNED, FINISHED)
# Nothing went wrong with these: they are no reason for exit code 7.
HARMLESS = (QUEUED, RUNNING, PRUNED, FINISHED)
# Ended before their result, though nobody meant them to: what `bakeoff resume latest` looks among.
STOPPED = (INTERRUPTED, FAILED, LOST)
DONE = (FINISHED, PRUNED)
BAD = (FAILED, DIVERGED, LOST)
# What a sweep that goes on leaves as it is; diverged runs only until somebody asks for them.
LEFT_ALONE = (*DONE, DIVERGED)
NO_RESULT = f"not finished: no {SUMMARY}"
_LONGEST_TEXT = 300  # characters, of what somebody else may have written


@dataclass(frozen=True)
class RunState:
    """What is known of a run without reading its result."""

    state: str  # of `STATES`; another word, cut, where somebody else's status has one
    reason: str | None = None
    step: int | None = None
    heartbeat: str | None = None  # ISO 8601, UTC, if it is what it should be
    may_go_on: bool = False  # with `bakeoff resume`


def state_of(run: Path) -> RunState:
    """How far a run is.

    Raises:
        UnreadableFileError: it has no summary, and no status that can be read.
    """
    if os.path.lexists(run / SUMMARY):
        return RunState(FINISHED)
    status = read_json(run / STATUS, attempts=2)
    said = str(status.get("status"))[:_LONGEST_TEXT]
    step = status.get("step")
    step = step if type(step) is int and 0 <= step < 2**63 else None
    heartbeat = str(status.get("heartbeat"))[:40]
    reason = str(status.get("error") or "")[:_LONGEST_TEXT] or None
    if said == FINISHED:
        return RunState(FAILED, NO_RESULT, step, heartbeat, may_go_on=True)
    if said == RUNNING and not is_alive(status):
        silent = f"no sign of life since {heartbeat}, step {step}"
        return RunState(LOST, silent, step, heartbeat, may_go_on=True)
    # A failed one without a checkpoint begins again: the disk may have room now.
    return RunState(said, reason, step, heartbeat, may_go_on=said in (QUEUED, INTERRUPTED, FAILED))


def state_or_lost(run: Path) -> RunState:
    """How far a run is; one that does not say it, or cannot be read, is lost."""
    try:
        return state_of(run)
    except (UnreadableFileError, OSError) as error:
        return RunState(LOST, str(error)[:_LONGEST_TEXT])
