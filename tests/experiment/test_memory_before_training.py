"""Out of memory while data are read or a model is made: exit 4 with what to lower, and no "bug"."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Bakeoff

from bakeoff import data
from bakeoff.errors import ResourceError, is_out_of_memory
from bakeoff.experiment import gates
from bakeoff.experiment.gates import memory_explained
from bakeoff.machine import memory
from bakeoff.machine.memory import LiveBytes
from bakeoff.models import cnn

REFUSALS = [
    MemoryError("Unable to allocate 7.45 GiB for an array"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("Storage size calculation overflowed with sizes=[4611686018427387904, 8]"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
# The CPU's own refusal in the quick tier, all others in the slow one.
BY_TIER = [
    error if number == 2 else pytest.param(error, marks=pytest.mark.slow)
    for number, error in enumerate(REFUSALS)
]


def test_what_is_out_of_memory() -> None:
    assert all(is_out_of_memory(error) for error in REFUSALS)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.parametrize("error", BY_TIER, ids=lambda error: str(error)[:20])
@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        (data, "load", "error: data.name=digits: out of memory while images were read ("),
        (cnn, "build", "error: model=cnn_small: out of memory while the network was made ("),
    ],
)
def test_it_is_exit_4_with_what_to_lower(
    module: Any, name: str, said: str, error: Exception, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(module, name, refuse)
    code, _, err = bakeoff("train", "data=digits", "model=cnn_small")
    assert code == 4
    assert err.startswith(said)
    assert ("data.train_limit" if name == "load" else "model.*") in err
    assert err.count("\n") == 1
    assert not Path("outputs").exists()


def test_a_model_that_the_host_cannot_hold_is_refused_before_it_is_filled(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "host_available_bytes", lambda **_: 50 * 2**20)
    filled: list[int] = []
    normal = torch.nn.init.normal_
    monkeypatch.setattr(
        torch.nn.init, "normal_", lambda t, *a, **k: (filled.append(t.numel()), normal(t, *a, **k))[1]
    )
    code, _, err = bakeoff("train", "data=digits", "model=vit", "model.width=4096", "model.depth=4")
    assert code == 4
    assert "error: model=vit: out of memory while the network was made (" in err
    assert "bytes where 52,428,800 are available" in err
    assert filled == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            "experiment.train.make_optimizer",
            "model=cnn_small: out of memory while the optimizer's state was made (",
        ),
        ("experiment.train.input_fingerprints", "out of memory ("),  # wherever else: at least no bug
        ("training.loop.train_step", "trainer.batch_size=128: out of memory ("),
    ],
)
@pytest.mark.parametrize("error", BY_TIER, ids=lambda error: str(error)[:20])
def test_it_is_no_bug_wherever_it_happens(
    place: str, said: str, error: Exception, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(f"bakeoff.{place}", refuse)
    code, _, err = bakeoff("train", "data=digits", "model=cnn_small")
    assert code == 4
    assert err.startswith(f"error: {said}")
    assert "bug" not in err


def test_a_model_that_fits_is_the_same_model_under_the_guard() -> None:
    torch.manual_seed(5)
    expected = torch.nn.Sequential(torch.nn.Linear(30, 30), torch.nn.Conv2d(3, 8, 3)).state_dict()
    torch.manual_seed(5)
    with memory_explained("model=x", "while the network was made", "advice"):
        found = torch.nn.Sequential(torch.nn.Linear(30, 30), torch.nn.Conv2d(3, 8, 3)).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_only_what_lives_counts_against_the_limit() -> None:
    with LiveBytes(limit=10 * 4000) as live:
        for _ in range(100):
            torch.zeros(1000)  # gone at once
        kept = [torch.zeros(1000) for _ in range(9)]
        views = [tensor[:10] for tensor in kept]  # no memory of their own
        torch.empty(10**9, device="meta")
        with pytest.raises(MemoryError, match="44,000 bytes where 40,000 are available"):
            torch.zeros(2000)
    assert live.peak == 44_000
    assert len(views) == 9


def test_other_errors_go_on_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), memory_explained("a", "b", "c"):
        raise RuntimeError("size mismatch")
    with pytest.raises(ValueError, match="out of memory"), memory_explained("a", "b", "c"):
        raise ValueError("out of memory")
    assert not is_out_of_memory(OSError("out of memory"))
    with pytest.raises(ResourceError, match=r"^a: out of memory b"), memory_explained("a", "b", "c"):
        raise MemoryError


def test_swap_counts_where_nothing_is_to_be_fast(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemAvailable: 100 kB\nSwapFree: 50 kB\n")
    assert memory.host_available_bytes(tmp_path) == 100 * 1024
    assert memory.host_available_bytes(tmp_path, with_swap=True) == 150 * 1024
