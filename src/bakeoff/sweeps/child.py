"""A job's process: started so that it ends with the sweep that it belongs to. No torch here.

Linux kills a process when the *thread* that started it ends (`PR_SET_PDEATHSIG`), so children are started
from the main thread. Where there is no such call, a pipe tells: its other end is open as long as the sweep
lives.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.errors import InterruptedRunError
from bakeoff.runs.rundir import EPOCHS, LOG, STATUS
from bakeoff.runs.storage import open_own

# -P: the current folder is not a place to import from.
_PYTHON = (sys.executable, "-P", "-m", "bakeoff.sweeps.job")
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PIPE_VARIABLE = "BAKEOFF_SWEEP_PIPE"
_SECONDS_BETWEEN_LOOKS = 5.0  # for signs of life
_BUSY = 0.01  # of a core: whoever computes takes more, whoever waits less


@dataclass(frozen=True)
class Slot:
    """What one of several jobs may use."""

    threads: int
    gpu: str | None = None  # as CUDA_VISIBLE_DEVICES names it; None: whatever there is


@dataclass
class Started:
    """A job's process, with what was seen of it."""

    run: Path
    process: "subprocess.Popen[bytes]"
    began: float = field(default_factory=time.time)
    # Of `is_silent`: when it was looked at last and when it last worked (by `time.monotonic`), and its
    # processor time then.
    looked: float = field(default_factory=time.monotonic)
    worked: float = field(default_factory=time.monotonic)
    cpu_seconds: float = 0.0

    def poll(self) -> int | None:
        """The exit code, negative for the number of a signal; None while it runs."""
        return self.process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the whole session, which is the job's own."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
            if number not in (signal.SIGSTOP, signal.SIGKILL):
                os.killpg(self.process.pid, signal.SIGCONT)  # one that stands still has to go on to see it


def start(run: Path, identity: str, slot: Slot, pipe: int, jobs_at_once: int, data_root: str) -> Started:
    """Starts the process of a job, in a session of its own: Ctrl-C reaches the sweep alone.

    Args:
        run: its directory, which holds its config.
        identity: which run it is.
        slot: what it may use.
        pipe: the end to read of a pipe whose other end this process holds, and no child.
        jobs_at_once: how many run side by side.
        data_root: where its data are now.

    Raises:
        OSError: it cannot be started.
    """
    environment = {**os.environ, _PIPE_VARIABLE: str(pipe)}
    if slot.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = slot.gpu
    words = [str(run), "--identity", identity, "--parent", str(os.getpid())]
    words += ["--threads", str(slot.threads), "--jobs-at-once", str(jobs_at_once)]
    words += ["--data-root", str(Path(data_root).absolute())]
    with open(run / LOG, "ab", opener=open_own) as log:
        process = subprocess.Popen(
            [*_PYTHON, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=environment,
            pass_fds=(pipe,),
            start_new_session=True,
        )
    return Started(run, process)


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
        return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # not Linux
        return False


def _watch_pipe() -> None:
    descriptor = int(os.environ.get(_PIPE_VARIABLE, "-1"))

    def wait() -> None:
        with suppress(OSError):
            os.read(descriptor, 1)  # nobody writes: this returns when the other end is closed
        os.kill(os.getpid(), signal.SIGKILL)

    if descriptor >= 0:
        threading.Thread(target=wait, daemon=True).start()


def is_silent(job: Started, seconds: float) -> bool:
    """Whether a job has neither written anything nor computed for so long.

    A long step or a large validation writes nothing, and takes processor time; only where the system tells
    of that (Linux) can a job be called silent.
    """
    moment = time.monotonic()
    if moment - job.looked < min(_SECONDS_BETWEEN_LOOKS, seconds / 2):
        return False
    cpu_seconds = _cpu_seconds(job.process.pid)
    if cpu_seconds is None:
        return False
    busy = cpu_seconds - job.cpu_seconds > _BUSY * (moment - job.looked)
    job.looked, job.cpu_seconds = moment, cpu_seconds
    if busy or time.time() - _last_written(job) < seconds:
        job.worked = moment
    return moment - job.worked > seconds


def _cpu_seconds(pid: int) -> float | None:
    """Fields 14 to 17 of proc(5)'s stat: of the process, its threads, and children that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def _last_written(job: Started) -> float:
    seen = [job.began]
    for name in (STATUS, LOG, EPOCHS):
        with suppress(OSError):
            seen.append((job.run / name).stat().st_mtime)
    return max(seen)
