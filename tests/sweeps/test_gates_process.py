"""The process that checks all jobs of a sweep: killed, or deaf to signals."""

import os
import pty
import signal
import sys
import termios
import threading
import time

import pytest
from conftest import Bakeoff, command
from sweep_children import SWEEP
from terminals import read_to_end

from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import gates_child

DIES = "import os, sys; os.kill(os.getpid(), int(sys.argv[-1]))"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            signal.SIGKILL,
            "ended by SIGKILL (the system does that when memory runs out; lower trainer.batch_size)",
        ),
        (signal.SIGSEGV, "ended by SIGSEGV"),
    ],
)
def test_a_killed_check_is_said_and_has_an_exit_code_of_ours(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """Python gives minus the signal's number, which the shell would see as 247."""
    program = DIES.replace("sys.argv[-1]", str(int(number)))
    monkeypatch.setattr(gates_child, "_PYTHON", (sys.executable, "-c", program))
    code, _, err = bakeoff(*SWEEP)
    assert code == 4
    assert err.splitlines()[-1] == f"error: the check of all runs {said}"


# Children that a signal reaches late or never.
STOPPED = "import os, signal, time; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)"
DEAF = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
time.sleep(60)
"""


@pytest.mark.parametrize(("program", "num_signals"), [(STOPPED, 1), (DEAF, 2), (DEAF, 3)])
def test_a_check_that_does_not_listen_does_not_hold_a_sweep(
    monkeypatch: pytest.MonkeyPatch, program: str, num_signals: int
) -> None:
    monkeypatch.setattr(gates_child, "_PYTHON", (sys.executable, "-c", program))
    monkeypatch.setattr(gates_child, "_SECONDS_TO_END", 0.3 if num_signals == 2 else 60.0)
    stop = StopSignal()
    with stop.caught(), open(os.devnull, "wb") as sizes:
        timers = [
            threading.Timer(0.6 + 0.2 * n, signal.raise_signal, [signal.SIGINT]) for n in range(num_signals)
        ]
        for timer in timers:
            timer.start()
        began = time.monotonic()
        code = gates_child._run([], stop, sizes.fileno())
        assert time.monotonic() - began < 10
        for timer in timers:
            timer.join()
    assert code == -(signal.SIGINT if program is STOPPED else signal.SIGKILL)
    assert stop.ends_at_second


def test_a_terminal_that_stops_background_processes_does_not_stop_the_check() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        settings = termios.tcgetattr(1)
        settings[3] |= termios.TOSTOP
        termios.tcsetattr(1, termios.TCSANOW, settings)
        words = command([*SWEEP, "seed=0,1", "--dry-run"])
        os.execv(words[0], words)
    timer = threading.Timer(60, os.kill, [pid, signal.SIGKILL])
    timer.start()
    try:
        read_to_end(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        timer.cancel()
