"""Nothing is timed while threads of earlier calls still run."""

import hashlib
import threading
import time

import pytest

from bakeoff.deploy.measure import rest
from bakeoff.deploy.measure.rest import wait_for_rest

LARGE = bytes(2**26)


def test_a_thread_that_still_runs_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_MOST_SECONDS", 20.0)
    thread = threading.Thread(
        target=lambda: hashlib.sha256(LARGE)
    )  # a tenth of a second without Python's lock
    thread.start()
    while not rest._others_run() and thread.is_alive():
        pass
    wait_for_rest()
    assert not thread.is_alive()


def test_a_thread_that_sleeps_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_MOST_SECONDS", 20.0)
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    start = time.monotonic()
    wait_for_rest()
    assert time.monotonic() - start < 10
    ended.set()
    thread.join()


def test_what_never_rests_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_others_run", lambda: True)
    monkeypatch.setattr(rest, "_MOST_SECONDS", 0.05)
    start = time.monotonic()
    wait_for_rest()
    assert time.monotonic() - start >= 0.05
