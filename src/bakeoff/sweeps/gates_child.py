"""The process that passes all jobs of a sweep through the gates that need torch and the data.

No torch here.
"""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from bakeoff.config.job import Job
from bakeoff.errors import OK, InterruptedRunError, ResourceError
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps.outcome import in_words
from bakeoff.sweeps.slots import Size

# -P: the current folder is not a place to import from.
_PYTHON = (sys.executable, "-P", "-m", "bakeoff.sweeps.torch_gates")
CONFIG_ALONE = "config_alone"  # before a config that passes gates 1 and 2 only
_SECONDS_BETWEEN_LOOKS = 0.05  # at a signal to hand on
_MOST_SIGNALS = 2  # the second ends the child at once
_SECONDS_TO_END = 5.0  # after that


def check_with_torch(
    jobs: Sequence[Job], stop: StopSignal, configs: Sequence[Job] = ()
) -> tuple[int, list[Size]]:
    """Passes all jobs through gates 2 and 3.

    Args:
        jobs: what will be trained.
        stop: the signals that came.
        configs: jobs of which only the config is checked, by gates 1 and 2.

    Returns:
        The child's exit code (it says itself what is wrong), and the size of each job's work; none if the
        code is not 0.

    Raises:
        ResourceError: the child was killed.
        InterruptedRunError: a signal, of which the child has said nothing.
    """
    with _scratch_file() as found:
        asked = [*({CONFIG_ALONE: job.values} for job in configs), *(job.values for job in jobs)]
        code = _run(asked, stop, found.fileno())
        if code != InterruptedRunError.exit_code:
            stop.check()
        if code < 0:
            raise ResourceError(f"the check of all runs {in_words(code)}")
        found.seek(0)
        sizes = json.load(found)[len(configs) :] if code == OK else []
        return code, [Size(**fields) for fields in sizes]


def _scratch_file() -> IO[bytes]:
    """In memory, where the system can do that: a full disk stops no check."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("sizes"), "w+b")
    return tempfile.TemporaryFile()


def _run(configs: Sequence[Any], stop: StopSignal, sizes: int) -> int:
    """The exit code, negative for a signal's number.

    The child has a process group of its own, so that Ctrl-C reaches this process alone, which hands
    each signal on once: the first lets the child end at its next border, a second ends it at once.
    """
    words = [*_PYTHON, "--parent", str(os.getpid()), "--sizes", str(sizes)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, text=True, process_group=0, pass_fds=(sizes,))
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # it died while it started: its exit code says how
        json.dump(configs, child.stdin)
        child.stdin.close()
    stop.ends_at_second = False
    try:
        return _wait(child, stop)
    finally:
        stop.ends_at_second = True


def _wait(child: "subprocess.Popen[str]", stop: StopSignal) -> int:
    """Waits for the child and hands signals on; a child that does not end by the second one is killed."""
    handed_on, ends = 0, math.inf
    while True:
        if handed_on < stop.count and stop.name is not None:
            handed_on += 1
            # A child that the terminal has stopped (`stty tostop`) has to go on to see it.
            child.send_signal(signal.Signals[stop.name])
            child.send_signal(signal.SIGCONT)
            if handed_on == _MOST_SIGNALS:
                ends = time.monotonic() + _SECONDS_TO_END
        if time.monotonic() > ends or stop.count > _MOST_SIGNALS:
            child.kill()
        try:
            return child.wait(timeout=_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            continue
