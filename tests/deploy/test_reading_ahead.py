"""Pictures are read in threads: in order, few at a time, the first ones soon."""

import threading
import time

import pytest

from bakeoff.deploy.predict.reading import in_batches


def test_everything_comes_once_and_in_order_whatever_takes_long() -> None:
    def read(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return -number

    found = [pair for batch in in_batches(range(300), read, 784, 4) for pair in batch]
    assert found == [(number, -number) for number in range(300)]


def test_the_first_batch_is_small_and_later_ones_are_not_smaller_than_they_need_be() -> None:
    sizes = [len(batch) for batch in in_batches(range(1000), abs, 784, 2)]
    assert sizes[0] <= 8
    assert max(sizes) == 256


@pytest.mark.parametrize(("bytes_each", "most"), [(784, 600), (2**24, 12), (2**30, 4)])
def test_few_are_read_ahead_and_fewer_of_large_ones(bytes_each: int, most: int) -> None:
    read, lock = [0], threading.Lock()

    def count(number: int) -> int:
        with lock:
            read[0] += 1
        return number

    taken = 0
    for batch in in_batches(iter(range(5000)), count, bytes_each, 2):
        taken += len(batch)
        time.sleep(0.001)
        assert read[0] - taken <= most
        if taken > 600:
            break
    assert taken > 0


def test_an_error_of_a_reader_reaches_who_asks() -> None:
    def read(number: int) -> int:
        if number == 20:
            raise ValueError("20")
        return number

    with pytest.raises(ValueError, match="20"):
        list(in_batches(range(100), read, 784, 2))


def test_nothing_to_read_gives_no_batch() -> None:
    assert list(in_batches([], abs, 784, 2)) == []
