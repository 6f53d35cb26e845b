"""Pictures read by threads while a model works, in their order and with few of them in memory. No torch."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bakeoff.machine.signals import check_stop

Item = TypeVar("Item")
Result = TypeVar("Result")
# The first answers come soon; a model is fastest with many at once.
_FIRST_BATCHES = (8, 64)
_LARGEST_BATCH = 256
_BYTES_IN_MEMORY = 2**26  # of pictures that are read, and as much of those at work
# Pictures that a thread reads before it asks for more: few at first, then as many as make asking cheap.
_FIRST_AT_A_TIME, _FIRST_TIMES = 4, 6
_AT_A_TIME = 32


def in_batches(
    items: Iterable[Item], read: Callable[[Item], Result], bytes_each: int, threads: int
) -> Iterator[list[tuple[Item, Result]]]:
    """Reads items in threads, ahead of who asks.

    Args:
        items: any number of them; never all in memory.
        read: for one item; called in threads.
        bytes_each: what a result takes.
        threads: how many read at once.
    """
    most = max(1, min(_LARGEST_BATCH, _BYTES_IN_MEMORY // max(1, bytes_each)))
    sizes = itertools.chain((min(size, most) for size in _FIRST_BATCHES), itertools.repeat(most))
    results = _in_order(iter(items), read, most, threads)
    for size in sizes:
        check_stop()
        batch = list(itertools.islice(results, size))
        if not batch:
            return
        yield batch


def _in_order(
    items: Iterator[Item], read: Callable[[Item], Result], most: int, threads: int
) -> Iterator[tuple[Item, Result]]:
    def read_some(some: list[Item]) -> list[tuple[Item, Result]]:
        return [(item, read(item)) for item in some]

    first = [min(_FIRST_AT_A_TIME, most)] * _FIRST_TIMES
    sizes = itertools.chain(first, itertools.repeat(min(_AT_A_TIME, most)))
    waiting: deque[tuple[int, Future[list[tuple[Item, Result]]]]] = deque()
    num_waiting = 0
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            while num_waiting < 2 * most or len(waiting) < threads:
                some = list(itertools.islice(items, next(sizes)))
                if not some:
                    break
                waiting.append((len(some), pool.submit(read_some, some)))
                num_waiting += len(some)
            if not waiting:
                return
            count, done = waiting.popleft()
            num_waiting -= count
            yield from done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
