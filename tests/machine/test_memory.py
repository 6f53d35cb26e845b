"""What memory there is, and what each phase took, without a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pretended_machine import machine

from bakeoff.machine import memory
from bakeoff.machine.memory import PhasePeaks, available_memory_bytes, host_available_bytes

CPU = torch.device("cpu")
GB = 2**30
MEMINFO = "MemTotal:       24683656 kB\nMemFree: 1 kB\nMemAvailable:   8388608 kB\n"  # 8 GB


def group(folder: str, limit: str, used: int, cache: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/{folder}memory.max": f"{limit}\n",
        f"sys/fs/cgroup/{folder}memory.current": f"{used}\n",
        f"sys/fs/cgroup/{folder}memory.stat": f"anon 5\ninactive_file {cache}\nactive_file 7\n",
    }


def old_group(folder: str, limit: int, used: int, cache: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/memory/{folder}memory.limit_in_bytes": f"{limit}\n",
        f"sys/fs/cgroup/memory/{folder}memory.usage_in_bytes": f"{used}\n",
        f"sys/fs/cgroup/memory/{folder}memory.stat": f"cache 5\ntotal_inactive_file {cache}\n",
    }


OWN, OLD = "0::/job/step\n", "9:name=systemd:/\n4:cpu,memory:/job/step\n0::/\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8 * GB),
        ({"proc/self/cgroup": OWN} | group("job/step/", "max", GB), 8 * GB),
        ({"proc/self/cgroup": OWN} | group("job/step/", str(4 * GB), GB), 3 * GB),
        # The limit of the group above counts as well; files in the page cache can go.
        ({"proc/self/cgroup": OWN} | group("job/step/", "max", 1) | group("job/", str(2 * GB), GB, GB // 2), 3 * GB // 2),
        # Inside a container the path is the host's, and its own limit stands at the top.
        ({"proc/self/cgroup": OWN} | group("", str(2 * GB), GB), GB),
        ({"proc/self/cgroup": OLD} | old_group("job/step/", 4 * GB, GB, GB), 4 * GB),
        ({"proc/self/cgroup": OLD} | old_group("job/step/", 2**63 - 4096, GB), 8 * GB),
        ({"proc/self/cgroup": OLD} | old_group("", 2 * GB, GB), GB),
        ({"proc/self/cgroup": OWN} | group("job/step/", str(GB), 2 * GB), 0),
        ({"proc/self/cgroup": "nonsense\n\n0::/../..\n"} | group("", "not a number", GB), 8 * GB),
    ],
)  # fmt: skip
def test_the_limit_of_a_container_or_job_counts(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert host_available_bytes(machine(tmp_path, {"proc/meminfo": MEMINFO} | files)) == expected


def test_without_procfs_nothing_is_known(tmp_path: Path) -> None:
    assert host_available_bytes(tmp_path) is None
    assert host_available_bytes(machine(tmp_path, {"proc/meminfo": "MemAvailable:\n"})) is None


def test_this_machine_has_memory() -> None:
    available = available_memory_bytes(CPU)
    assert available is None or 2**20 < available < 2**50


def test_on_a_gpu_what_torch_holds_and_does_not_use_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10, 99))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 7)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 3)
    assert available_memory_bytes(torch.device("cuda")) == 14


class Gauge:
    """A pretended mark of the highest memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, can_reset: bool) -> None:
        self.now = self.mark = 100
        self.can_reset = can_reset
        monkeypatch.setattr(memory, "peak_memory_bytes", lambda _: self.mark)
        monkeypatch.setattr(memory, "_reset_peak", lambda _: self.reset())

    def reset(self) -> bool:
        if self.can_reset:
            self.mark = self.now
        return self.can_reset

    def take(self, num_bytes: int) -> None:
        self.mark = max(self.mark, self.now + num_bytes)


@pytest.mark.parametrize(
    ("can_reset", "expected"), [(True, {"train": 350, "eval": 200}), (False, {"train": 350, "eval": 200})]
)
def test_training_and_evaluation_have_peaks_of_their_own(
    can_reset: bool, expected: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gauge, peaks = Gauge(monkeypatch, can_reset), PhasePeaks()
    for name, taken in (("eval", 100), ("train", 250), ("train", 50), ("eval", 20)):
        with peaks.phase(name, CPU):
            gauge.take(taken)
    assert peaks.phases == expected
    assert peaks.of_all(CPU) == 350


def test_a_peak_that_hides_below_an_earlier_one_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    gauge, peaks = Gauge(monkeypatch, can_reset=False), PhasePeaks()
    with peaks.phase("train", CPU):
        gauge.take(250)
    with peaks.phase("eval", CPU):
        gauge.take(20)
    assert peaks.phases == {"train": 350}


OF_TWO_PHASES = """
import torch
from bakeoff.machine.memory import PhasePeaks
peaks, cpu = PhasePeaks(), torch.device("cpu")
for name, megabytes in (("train", 200), ("eval", 1)):
    with peaks.phase(name, cpu):
        torch.ones(megabytes * 2**18)
assert 150 * 2**20 < peaks.phases["train"] - peaks.phases["eval"] < 250 * 2**20, peaks
assert peaks.of_all(cpu) >= peaks.phases["train"]
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_a_large_tensor_counts_in_its_phase_alone_whoever_started_the_process() -> None:
    held = torch.ones(10**9 // 4)  # a gigabyte, which is none of the child's
    subprocess.run([sys.executable, "-c", OF_TWO_PHASES], check=True)
    assert len(held)
