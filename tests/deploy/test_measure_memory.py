"""What a batch needs of memory is foreseen from a few images, before the batch is made."""

import numpy as np
import pytest
import torch

from bakeoff.deploy.measure import memory
from bakeoff.deploy.measure.memory import TRIED, held_bytes, peak_bytes, why_too_large

CPU = torch.device("cpu")
MB = 2**20


def call() -> None:
    np.ones(64 * MB, dtype=np.uint8)  # 8 MB for each of the images that are tried


def available(monkeypatch: pytest.MonkeyPatch, num_bytes: int | None) -> None:
    monkeypatch.setattr(memory, "available_memory_bytes", lambda _: num_bytes)


def test_the_peak_of_calls_is_above_what_was_held() -> None:
    before = held_bytes(CPU)
    peak = peak_bytes(call, CPU)
    after = held_bytes(CPU)
    assert before is not None
    assert peak is not None
    assert after is not None
    assert 60 * MB < peak - before < 90 * MB
    assert after - before < 10 * MB


@pytest.mark.parametrize(
    ("count", "room", "fits"),
    [(100, 2_000, True), (100, 700, False), (TRIED, 1, True), (100, None, True), (10**9, 2_000, False)],
)
def test_a_batch_fits_or_it_is_said_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, count: int, room: int | None, fits: bool
) -> None:
    available(monkeypatch, None if room is None else room * MB)
    problem = why_too_large(count, call, 10, CPU)
    assert (problem is None) == fits
    if problem and count == 100:  # 100 times 8 MB, where 80 % of 700 MB may be taken
        assert problem.startswith("does not fit into memory: it needs about 0.")
        assert problem.endswith(" GB, and 0.6 GB can be had")


def test_images_that_do_not_fit_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 100 * MB)
    called: list[int] = []
    problem = why_too_large(1_000_000, lambda: called.append(1), 3 * 224 * 224, CPU)
    assert problem == "does not fit into memory: it needs about 151 GB, and 0.1 GB can be had"
    assert called == []


def test_where_the_system_does_not_say_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 100 * MB)
    monkeypatch.setattr(memory, "held_bytes", lambda _: None)
    assert why_too_large(100, call, 10, CPU) is None
