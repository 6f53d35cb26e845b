"""How a job ended: what its directory says, and where that is nothing, how its process did. No torch here."""

import re
import signal
from contextlib import suppress
from pathlib import Path

from bakeoff.errors import OK, ResourceError
from bakeoff.runs.reading import UnreadableFileError, read_json, read_tail
from bakeoff.runs.rundir import LOG, STATUS, RunDir
from bakeoff.runs.states import FAILED, INTERRUPTED, LOST, QUEUED, RUNNING, RunState, state_or_lost
from bakeoff.sweeps.child import Started
from bakeoff.text import one_line, printable

_MOST_BYTES = 16_384  # of a log's end: a crash writes the stack of each thread
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d\d:\d\d ")
_CRASH = "Fatal Python error: "
_LONGEST_LINE = 200
TAKEN = "another process works on it"


def record_end(
    job: Started, code: int, why_told: str | None, stopping: bool, told_means: str = FAILED
) -> RunState:
    """What became of a job whose process is gone.

    Args:
        job: the process.
        code: its exit code, negative for the number of a signal.
        why_told: why it was told to stop, if not because the whole sweep was.
        stopping: whether the whole sweep was: who was killed by that has not failed.
        told_means: the state of one that ended because it was told to.
    """
    state = state_or_lost(job.run)
    unfinished = (QUEUED, RUNNING, LOST, *((INTERRUPTED,) if why_told else ()))
    # It ended before it wrote a word: what stands there is of its last start, and says nothing of this one.
    of_before = state.state in (INTERRUPTED, FAILED) and code != OK and not _is_its_own(job)
    if (state.state not in unfinished and not of_before) or (stopping and not why_told):
        return state
    if state.state == RUNNING and not _is_its_own(job):  # alive, so it is somebody else's
        return RunState(FAILED, TAKEN, state.step, state.heartbeat)
    # Only who has waited for the process knows how it ended.
    reason = why_told or "; ".join(text for text in (in_words(code), last_line(job.run)) if text)
    now = told_means if why_told else FAILED
    with suppress(ResourceError):  # the ledger says it, too
        RunDir(job.run).write_status(now, state.step or 0, reason)
    return RunState(now, reason, state.step, state.heartbeat, state.may_go_on)


def _is_its_own(job: Started) -> bool:
    with suppress(UnreadableFileError):
        return read_json(job.run / STATUS, attempts=2).get("pid") == job.process.pid
    return True


def in_words(code: int) -> str:
    """The exit code of a process, negative for the number of a signal, as a reason."""
    if code >= 0:
        # On a full disk its log is empty.
        hint = " (it could not write, or memory ran out)" if code == ResourceError.exit_code else ""
        return f"ended with exit code {code}{hint}"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    hint = (
        " (the system does that when memory runs out; lower trainer.batch_size)" if name == "SIGKILL" else ""
    )
    return f"ended by {name}{hint}"


def last_line(run: Path) -> str:
    """The last line of a run's log that says something, of a crash what it was; an empty text without one."""
    try:
        text = read_tail(run / LOG, _MOST_BYTES).decode(errors="replace")
    except UnreadableFileError:
        return ""
    lines = [line.strip() for line in text.splitlines()]
    crash = next((line for line in reversed(lines) if line.startswith(_CRASH)), "")
    line = crash or next((line for line in reversed(lines) if line), "")
    return printable(one_line(_TIME.sub("", line).removeprefix("error: ")))[:_LONGEST_LINE]
