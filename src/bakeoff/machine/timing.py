"""Named phases of time, with the device waited for at every border."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class PhaseTimes:
    """Seconds spent in each phase so far. Plain numbers, so that a copy of a state carries them.

    Phases do not nest: whatever begins one ends the other first.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _running: tuple[str, float] | None = field(default=None, repr=False)  # a phase and when it began

    @contextmanager
    def phase(self, name: str, synchronize: Callable[[], None]) -> Iterator[None]:
        """Adds the wall time of a block to a phase, also when the block raises.

        `synchronize` waits for the device (host-device synchronisation), because a kernel that still
        runs would otherwise be counted in the next phase.
        """
        synchronize()
        start = time.perf_counter()
        self._running = (name, start)
        try:
            yield
        finally:
            synchronize()
            self._running = None
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def until_now(self, name: str) -> float:
        """With what has passed of the phase if it runs, by the host's clock: no device is waited for."""
        running, start = self._running or (None, 0.0)
        return self[name] + (time.perf_counter() - start if running == name else 0.0)

    def __getitem__(self, name: str) -> float:
        return self.seconds.get(name, 0.0)
