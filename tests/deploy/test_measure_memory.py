"""What a batch needs of memory is foreseen from a few images, before the batch is made."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bakeoff.deploy.measure import memory
from bakeoff.deploy.measure.memory import held_bytes, peak_bytes, why_too_large

CPU = torch.device("cpu")
MB = 2**20


KEPT: list[np.ndarray] = []


def rates(count: int) -> Callable[[], object]:
    """Takes 1 MB for each image, and once 25 MB that stay."""

    def call() -> None:
        if not KEPT:
            KEPT.append(np.ones(25 * MB, dtype=np.uint8))
        np.ones(count * MB, dtype=np.uint8)

    return call


def available(monkeypatch: pytest.MonkeyPatch, num_bytes: int | None) -> None:
    monkeypatch.setattr(memory, "available_memory_bytes", lambda _: num_bytes)


def test_the_peak_of_calls_is_above_what_was_held() -> None:
    before = held_bytes(CPU)
    peak = peak_bytes(lambda: np.ones(64 * MB, dtype=np.uint8), CPU)
    after = held_bytes(CPU)
    assert before is not None
    assert peak is not None
    assert after is not None
    assert 60 * MB < peak - before < 90 * MB
    assert after - before < 10 * MB


@pytest.mark.parametrize(
    ("count", "room", "fits"),
    [(100, 150, True), (100, 112, False), (8, 1, True), (100, None, True), (10**9, 2_000, False)],
)
def test_a_batch_fits_or_it_is_said_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, count: int, room: int | None, fits: bool
) -> None:
    available(monkeypatch, None if room is None else room * MB)
    KEPT.clear()
    problem = why_too_large(count, rates, 10, CPU)
    assert (problem is None) == fits
    if problem and count == 100:  # 100 times 1 MB, where 80 % of 112 MB may be taken
        needed = float(problem.partition("it needs about ")[2].partition(" GB")[0])
        assert needed == pytest.approx(0.105, abs=0.015)
        assert problem.endswith(" GB of 0.094 GB")


def test_images_that_do_not_fit_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 100 * MB)
    called: list[int] = []
    problem = why_too_large(1_000_000, lambda count: lambda: called.append(count), 3 * 224 * 224, CPU)
    assert problem == "does not fit into memory: it needs about 753 GB of 0.084 GB"
    assert called == []


def test_of_torch_the_tensors_are_counted_with_room_for_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_torch(count: int) -> Callable[[], object]:
        images = torch.zeros(count, MB // 16)
        return lambda: images + 1  # 0.25 MB for an image

    available(monkeypatch, 65 * MB)
    assert why_too_large(100, of_torch, 10, CPU) is None
    available(monkeypatch, 60 * MB)
    assert why_too_large(100, of_torch, 10, CPU) is not None


def test_what_does_not_grow_with_the_batch_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As weights in another number format: a step later the images show."""
    tried: list[int] = []

    def of_torch(count: int) -> Callable[[], object]:
        tried.append(count)

        def call() -> None:
            torch.zeros(10 * MB // 4, dtype=torch.uint8)
            torch.zeros(count * MB // 4, dtype=torch.uint8)

        return call

    available(monkeypatch, 25 * MB)
    assert why_too_large(500, of_torch, 10, CPU) is not None
    assert tried == [1, 8, 64]
