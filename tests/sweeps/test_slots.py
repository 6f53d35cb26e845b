"""How many jobs run at once and what each may use, on pretended machines."""

from dataclasses import replace

import pytest

from bakeoff.sweeps import slots as module
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.slots import Size, side_by_side_note, slots

SMALL = Size(100_000, 28, 54_000, 55_000_000, "cpu")
LARGE = replace(SMALL, parameters=41_000_000)
GB = 10**9


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """8 cores, no GPU, much memory."""
    pretend(monkeypatch)
    return monkeypatch


def pretend(
    patch: pytest.MonkeyPatch, cores: int = 8, gpus: tuple[str, ...] = (), memory: int | None = 1000 * GB
) -> None:
    patch.delenv("OMP_NUM_THREADS", raising=False)
    patch.setattr(module, "usable_cores", lambda: cores)
    patch.setattr("bakeoff.machine.limits.usable_cores", lambda: cores)
    patch.setattr(module, "gpu_names", lambda: list(gpus))
    patch.setattr(module, "total_memory_bytes", lambda: memory)


def on_gpu(size: Size, device: str = "cuda") -> Size:
    return replace(size, device=device)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([SMALL], 8),
        ([SMALL] * 300, 8),
        ([SMALL, LARGE], 1),  # one that is not small is enough
        ([replace(SMALL, side=224)], 1),
        ([replace(SMALL, parameters=5_000_000, side=64)], 8),
        ([on_gpu(SMALL)], 1),  # on one whose name is not known
    ],
)
def test_auto_is_one_job_a_core_for_small_work(sizes: list[Size], count: int) -> None:
    assert slots("auto", sizes) == [Slot(8 // count)] * count


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("asked", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_cores_are_shared_out_by_what_is_asked_for_alone(asked: int, threads: int) -> None:
    for sizes in ([], [LARGE], [SMALL] * 12):
        assert slots(asked, sizes) == [Slot(threads)] * asked


def test_a_given_number_of_threads_is_the_most(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("OMP_NUM_THREADS", "2")
    assert [slots(count, [SMALL])[0].threads for count in (1, 4, 8)] == [2, 2, 1]


def test_each_gpu_has_one_job(machine: pytest.MonkeyPatch) -> None:
    pretend(machine, gpus=("3", "MIG-1"))
    assert slots("auto", [on_gpu(LARGE)]) == [Slot(4, "3"), Slot(4, "MIG-1")]
    # Swept over devices, too: what trains on the CPU does not see it.
    assert slots("auto", [on_gpu(LARGE), SMALL]) == [Slot(4, "3"), Slot(4, "MIG-1")]
    assert slots(1, [on_gpu(LARGE)]) == [Slot(8, "3")]
    shared = slots(3, [on_gpu(SMALL)])
    assert [slot.gpu for slot in shared] == ["3", "MIG-1", "3"]
    assert side_by_side_note(shared, [on_gpu(SMALL)]) == (
        "3 runs at once share 2 GPUs: each is slower, and their memory must hold all of them; "
        "sweep.jobs=auto is one run per GPU"
    )


@pytest.mark.parametrize("device", ["cuda:1", "cpu"])
def test_a_run_that_names_its_gpu_or_needs_none_is_given_none(
    device: str, machine: pytest.MonkeyPatch
) -> None:
    pretend(machine, gpus=("0", "1"))
    assert slots(2, [on_gpu(SMALL, device)]) == [Slot(4)] * 2
    assert slots(2, [on_gpu(SMALL, "cuda:1"), on_gpu(SMALL)]) == [Slot(4)] * 2
    assert len(slots("auto", [on_gpu(SMALL, "cuda:1")])) == 1


@pytest.mark.parametrize(("memory", "count"), [(1000, 8), (5, 4), (1, 1), (0.1, 1), (None, 8)])
def test_auto_runs_no_more_than_all_memory_holds(
    memory: float | None, count: int, machine: pytest.MonkeyPatch
) -> None:
    pretend(machine, memory=None if memory is None else int(memory * GB))
    assert len(slots("auto", [SMALL, replace(SMALL, data_bytes=10 * SMALL.data_bytes // 11)])) == count
    assert len(slots(8, [SMALL])) == 8  # who asks for them has them


@pytest.mark.usefixtures("machine")
def test_more_threads_than_cores_are_said() -> None:
    assert side_by_side_note([Slot(1)] * 8, [SMALL]) is None
    assert side_by_side_note([Slot(1)] * 9, [SMALL]) == (
        "9 runs at once share 8 cores: each is slower, and all of them are done no sooner than with "
        "sweep.jobs=8"
    )
    three = replace(SMALL, threads=3)
    assert side_by_side_note(slots(2, [three]), [three]) is None
    assert side_by_side_note(slots(3, [three]), [three, SMALL]) == (
        "3 runs of 3 threads at once share 8 cores: each is slower, and all of them are done no sooner than "
        "with sweep.jobs=2"
    )
    assert side_by_side_note([Slot(8)], [replace(SMALL, threads=16)]) is None  # it is alone
    assert side_by_side_note([Slot(1, str(gpu)) for gpu in range(9)], [on_gpu(SMALL)]) is None


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("threads", "count"), [((1,), 8), ((2,), 4), ((None, 3), 2), ((9,), 1), ((None,), 8)]
)
def test_auto_leaves_room_for_the_threads_that_the_configs_name(
    threads: tuple[int | None, ...], count: int
) -> None:
    assert len(slots("auto", [replace(SMALL, threads=number) for number in threads])) == count
