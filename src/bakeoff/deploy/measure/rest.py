"""Waits until the threads of the last calls rest. No torch here.

A library keeps its threads spinning for a while after a call, so that the next one finds them awake: a tenth
of a second with onnxruntime. They would take a core from whatever is timed next, and count as a busy machine.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")
_MOST_SECONDS = 0.5
_SECONDS_BETWEEN_LOOKS = 0.005


def wait_for_rest() -> None:
    """Returns when no other thread of this process runs, or after half a second; at once if not on Linux."""
    end = time.monotonic() + _MOST_SECONDS
    while _others_run() and time.monotonic() < end:
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _others_run() -> bool:
    own = str(threading.get_native_id())
    with suppress(OSError):
        return any(_runs(number) for number in os.listdir(_THREADS) if number != own)
    return False


def _runs(number: str) -> bool:
    """Whether the kernel has a thread in a queue, by the state behind its name; see proc(5)."""
    with suppress(OSError, IndexError):  # ended meanwhile
        return (_THREADS / number / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    return False
