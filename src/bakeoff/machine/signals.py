"""Ctrl-C and SIGTERM: during training a flag for the next step border, else an error at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bakeoff.errors import InterruptedRunError


class StopSignal:
    """Counts signals. The second one always ends the process at the spot."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._deferred = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handles both signals inside the block."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside the block a first signal only raises the flag `name`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        first = self.name is None
        self.name = signal.Signals(number).name
        if not first or not self._deferred:
            raise InterruptedRunError(f"{self.name}: interrupted")
