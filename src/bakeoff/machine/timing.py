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

    @contextmanager
    def phase(self, name: str, synchronize: Callable[[], None]) -> Iterator[None]:
        """Adds the wall time of a block to a phase, also when the block raises.

        `synchronize` waits for the device (host-device synchronisation), because a kernel that still
        runs would otherwise be counted in the next phase.
        """
        synchronize()
        start = time.perf_counter()
        try:
            yield
        finally:
            synchronize()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def __getitem__(self, name: str) -> float:
        return self.seconds.get(name, 0.0)
