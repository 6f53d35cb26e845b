"""Signals that ask a process to stop: a handler sets a flag, and the borders of the work read it.

An error that is raised inside a handler is lost wherever Python happens to run it, in the callback of a
weak reference for one. So no handler raises: `check_stop` does, before, between and after the phases of
a run. A second signal ends the process at the spot, and the first does where nothing is lost by it. No
torch here.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import ClassVar, NoReturn

from bakeoff.errors import InterruptedRunError
from bakeoff.runs.storage import remove_temporaries

# Ctrl-C, a stop, a closed terminal, Ctrl-\ and what batch systems send before they take a machine back.
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)
_STANDARD_ERROR = 2
SAVING = "stopping and saving; Ctrl-C again leaves at once"
SAVING_JOBS = "stopping; running runs are saved first; Ctrl-C again ends them at once"


class StopSignal:
    """Counts the signals that came. The second one ends the process, after `last_words`.

    In a process that is not ours, as a notebook's, the second raises KeyboardInterrupt in place of that.
    """

    _current: ClassVar["StopSignal | None"] = None  # signals belong to the process, so there is one at most
    _owns_process: ClassVar[bool] = False

    def __init__(self) -> None:
        self.name: str | None = None  # of the first one
        self.count = 0
        self.first_words: str | None = None  # for a person at a terminal, since the next border may be far
        self.last_words: Callable[[str], None] = lambda _: None  # given what happened, as a text
        self.advice: str | None = None  # what to do after the second one
        self.ends_at_second = True
        self.told: str | None = None  # what to say in place of the signal's name

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handles the signals inside the block; those that the caller ignores, as nohup does, stay ignored.

        Python hands signals to the main thread alone: in another one the block changes nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        outer, StopSignal._current = StopSignal._current, self
        before = {number: signal.getsignal(number) for number in NUMBERS}
        before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
        try:
            for number in before:
                signal.signal(number, self._handle)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            StopSignal._current = outer

    def check(self) -> None:
        """A border.

        Raises:
            InterruptedRunError: a signal came.
        """
        if self.name is not None:
            raise InterruptedRunError(self.told or stopped_by(self.name))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.name is None:
            self.name = signal.Signals(number).name
            if self.first_words and os.isatty(_STANDARD_ERROR):
                with suppress(OSError):  # unbuffered, below whatever stands there
                    os.write(_STANDARD_ERROR, f"\n{self.first_words}\n".encode())
        elif self.ends_at_second:
            self._end()

    def _end(self) -> None:
        """Nothing that could wait or fail: no buffered output, no clean-up at exit."""
        assert self.name is not None
        if not StopSignal._owns_process:
            raise KeyboardInterrupt
        text = f"{stopped_by(self.name)} twice: ended at once"
        try:
            self.last_words(text)
        finally:
            _end_at_once(f"{text}; {self.advice}" if self.advice else text)


@contextmanager
def standing_still(stand_still: Callable[[], None]) -> Iterator[None]:
    """Calls a function when Ctrl-Z is pressed inside the block; it calls `stop_here` where all is ready.

    Where the caller ignores Ctrl-Z, and off the main thread, the block changes nothing.
    """
    before = signal.getsignal(signal.SIGTSTP)
    if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTSTP, lambda *_: stand_still())
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def stop_here() -> None:
    """This process stands still until `fg`."""
    os.kill(os.getpid(), signal.SIGSTOP)


def own_process() -> None:
    """Says that the process is bakeoff's alone: where a command does not handle Ctrl-C, it ends at once."""
    StopSignal._owns_process = True
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: _end_at_once(stopped_by("SIGINT")))


def owns_process() -> bool:
    """Whether the process is bakeoff's alone."""
    return StopSignal._owns_process


def _end_at_once(text: str) -> NoReturn:
    try:
        remove_temporaries()
        os.write(_STANDARD_ERROR, f"error: {text}\n".encode())
    finally:
        os._exit(InterruptedRunError.exit_code)


def check_stop() -> None:
    """A border anywhere in the work; nothing outside of `StopSignal.caught`.

    Raises:
        InterruptedRunError: a signal came.
    """
    if StopSignal._current is not None:
        StopSignal._current.check()


def stopped_by(name: str) -> str:
    """The signal as a person knows it."""
    return "stopped by Ctrl-C" if name == "SIGINT" else f"stopped by {name}"


def ignore_until_exit() -> None:
    """While Python shuts down a signal could only spoil what is done: it would end in a traceback."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
