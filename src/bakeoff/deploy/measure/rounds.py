"""Calls of several kinds, timed in turn: A B A B, so that a machine that is busy for a while favours none.

No torch here.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ROUNDS = 5
_ROUNDS_OF_LONG_ONES = 3
_MOST_IN_A_ROUND = 100  # calls
_LONG = 2.0  # seconds, of a call that is not made more often than is needed
SECONDS = 2.0  # that the calls of a kind may take together, as far as the fewest of them allow


@dataclass
class Timed:
    """Calls of one kind: a model, a number of threads, a batch."""

    call: Callable[[], object]
    prepare: Callable[[], object] = lambda: None  # before its turn in each round, such as to set threads
    seconds: list[float] = field(default_factory=list)  # of each call
    error: Exception | None = None  # by which its calls ended
    _estimate: float = field(default=0.0, init=False)  # seconds of a call

    def warm_up(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Two calls that do not count: they choose kernels and fill caches. One long one is enough."""
        try:
            self.prepare()
            for _ in range(2):
                self._estimate = _seconds(self.call, clock)
                if self._estimate > _LONG:
                    return
        except Exception as error:  # noqa: BLE001 - whoever asked for the calls says what may be wrong
            self.error = error

    def take_turn(self, number: int, clock: Callable[[], float] = time.perf_counter) -> None:
        """Its calls of one round; the first one of those follows on other work, and does not count."""
        is_long = self._estimate > _LONG
        if self.error is not None or (is_long and number >= _ROUNDS_OF_LONG_ONES):
            return
        try:
            self.prepare()
            if not is_long:
                self.call()
            end, most = clock() + SECONDS / ROUNDS, len(self.seconds) + _MOST_IN_A_ROUND
            self.seconds.append(_seconds(self.call, clock))
            while clock() < end and len(self.seconds) < most:
                self.seconds.append(_seconds(self.call, clock))
        except Exception as error:  # noqa: BLE001
            self.error = error


def take_turns(kinds: Sequence[Timed], before_each: Callable[[], None]) -> None:
    """Times all kinds of calls, each of which was warmed up. What fails ends its own kind alone.

    Args:
        kinds: in the order of their turns.
        before_each: is called before each turn; what it raises ends all.
    """
    for number in range(ROUNDS):
        for one in kinds:
            before_each()
            one.take_turn(number)


def _seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start
