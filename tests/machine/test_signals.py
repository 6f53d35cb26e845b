"""Signals: a handler sets a flag and nothing else, borders read it, a second signal ends at once."""

import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from bakeoff.cli import main
from bakeoff.errors import InterruptedRunError
from bakeoff.machine.signals import NUMBERS, StopSignal, check_stop

# A second signal inside the block, after last words of its own.
TWICE = """
import os, signal, sys
from bakeoff.machine.signals import StopSignal, own_process
own_process()
stop = StopSignal()
stop.last_words = lambda text: os.write(1, text.encode())
with stop.caught():
    signal.raise_signal(getattr(signal, sys.argv[1]))
    print("goes on", flush=True)
    signal.raise_signal(signal.SIGTERM)
    print("never said")
"""


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_read_at_a_border_and_nowhere_else(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = StopSignal()
    with stop.caught():
        check_stop()
        signal.raise_signal(number)
        assert (stop.name, stop.count) == (number.name, 1)
        said = "Ctrl-C" if number == signal.SIGINT else number.name
        for border in (stop.check, check_stop):
            with pytest.raises(InterruptedRunError, match=f"stopped by {said}"):
                border()
    assert signal.getsignal(number) is before
    check_stop()  # outside of the block nothing stops


def test_a_signal_inside_of_a_callback_is_not_lost() -> None:
    """What a handler raises there Python prints and forgets."""
    stop = StopSignal()

    class Thing:
        pass

    with stop.caught():
        thing = Thing()
        watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        assert watch() is None
        with pytest.raises(InterruptedRunError):
            check_stop()


@pytest.mark.parametrize("first", ["SIGINT", "SIGHUP"])
def test_the_second_signal_ends_the_process_with_its_last_words(first: str) -> None:
    done = subprocess.run([sys.executable, "-c", TWICE, first], capture_output=True, text=True, check=False)
    said = "stopped by Ctrl-C" if first == "SIGINT" else f"stopped by {first}"
    assert (done.returncode, done.stderr) == (75, f"error: {said} twice: ended at once\n")
    assert done.stdout == f"goes on\n{said} twice: ended at once"


WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from bakeoff.machine.signals import StopSignal, own_process
from bakeoff.runs.storage import folder_being_made, write_atomically
own_process()
def twice(*_):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGHUP)
folder = Path(sys.argv[1])
with StopSignal().caught(), folder_being_made(folder / ".made"):
    (folder / ".made" / "inner").write_text("half")
    assert len(list(folder.iterdir())) == 1
    write_atomically(folder / "file", twice)
"""


def test_a_process_that_ends_at_once_leaves_no_half_files(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WHILE_WRITING, str(tmp_path)], check=False)
    assert done.returncode == 75
    assert list(tmp_path.iterdir()) == []


def test_a_sweeps_parent_is_not_ended_by_the_second() -> None:
    stop = StopSignal()
    stop.ends_at_second = False
    with stop.caught():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert (stop.name, stop.count) == ("SIGINT", 2)


def test_what_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        stop = StopSignal()
        with stop.caught():
            signal.raise_signal(signal.SIGHUP)
            assert stop.name is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_blocks_nest_and_the_outer_one_is_back() -> None:
    outer, inner = StopSignal(), StopSignal()
    with outer.caught():
        with inner.caught():
            signal.raise_signal(signal.SIGINT)
        assert (outer.name, inner.name) == (None, "SIGINT")
        check_stop()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(InterruptedRunError):
            check_stop()


def test_commands_work_off_the_main_thread(capfd: pytest.CaptureFixture[str]) -> None:
    """A notebook server or a test runner may call them anywhere; Python takes handlers in one thread alone."""
    codes: list[int] = []
    lines = (["models"], ["train", "--cfg", "job"], ["train", "data=digits", "--dry-run"])
    thread = threading.Thread(target=lambda: codes.extend(main(line) for line in lines))
    thread.start()
    thread.join()
    assert codes == [0, 0, 0], capfd.readouterr()


# What a command of one's own process does before it handles signals itself.
AT_ONCE = """
import signal
from bakeoff.machine import signals
signals.own_process()
signal.raise_signal(signal.SIGINT)
print("never said")
"""


def test_outside_of_a_training_ctrl_c_ends_our_own_process_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "error: stopped by Ctrl-C\n")


def test_the_second_signal_does_not_end_a_process_that_is_not_ours() -> None:
    """A notebook's kernel lives on."""
    stop = StopSignal()
    with stop.caught():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
