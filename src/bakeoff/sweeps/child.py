"""A job's process: started so that it ends with the sweep that it belongs to. No torch here.

Linux kills a process when the *thread* that started it ends (`PR_SET_PDEATHSIG`), so children are started from
the main thread. Where there is no such call, a pipe tells: its other end is open as long as the sweep lives.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import InterruptedRunError
from bakeoff.runs.rundir import LOG

# -P: the current folder is not a place to import from.
_PYTHON = (sys.executable, "-P", "-m", "bakeoff.sweeps.job")
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PIPE_VARIABLE = "BAKEOFF_SWEEP_PIPE"


@dataclass(frozen=True)
class Slot:
    """What one of several jobs may use."""

    threads: int
    gpu: str | None = None  # as CUDA_VISIBLE_DEVICES names it; None: whatever there is


def start(run: Path, identity: str, slot: Slot, pipe: int, jobs_at_once: int) -> "subprocess.Popen[bytes]":
    """Starts the process of a job, in a session of its own: Ctrl-C reaches the sweep alone.

    Args:
        run: its directory, which holds its config.
        identity: which run it is.
        slot: what it may use.
        pipe: the end to read of a pipe whose other end this process holds, and no child.
        jobs_at_once: how many run side by side.

    Raises:
        OSError: it cannot be started.
    """
    environment = {**os.environ, _PIPE_VARIABLE: str(pipe)}
    if slot.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.gpu
    words = [str(run), "--identity", identity, "--parent", str(os.getpid())]
    words += ["--threads", str(slot.threads), "--jobs-at-once", str(jobs_at_once)]
    with (run / LOG).open("ab") as log:
        return subprocess.Popen(
            [*_PYTHON, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=environment,
            pass_fds=(pipe,),
            start_new_session=True,
        )


def end_with(parent: int) -> None:
    """Ties this process to the one that started it; to be called before anything else.

    Args:
        parent: its number. If it has ended already, so does this process.
    """
    if not _killed_with_parent():
        _watch_pipe()
    if os.getppid() != parent:  # it ended before the call
        os._exit(InterruptedRunError.exit_code)


def _killed_with_parent() -> bool:
    try:
        return ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    except (OSError, AttributeError):  # not Linux
        return False


def _watch_pipe() -> None:
    descriptor = int(os.environ.get(_PIPE_VARIABLE, "-1"))

    def wait() -> None:
        os.read(descriptor, 1)  # nobody writes: this returns when the other end is closed
        os.kill(os.getpid(), signal.SIGKILL)

    if descriptor >= 0:
        threading.Thread(target=wait, daemon=True).start()


def in_words(code: int) -> str:
    """The exit code of a process, negative for the number of a signal, as a reason."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    hint = (
        " (the system does that when memory runs out; lower trainer.batch_size)" if name == "SIGKILL" else ""
    )
    return f"ended by {name}{hint}"


def last_line(run: Path, most_bytes: int = 4096) -> str:
    """The last line of a run's log that says something; an empty text without one."""
    try:
        with (run / LOG).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most_bytes))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
