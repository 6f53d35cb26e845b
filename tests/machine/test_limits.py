"""How much of the machine this process may use, by folders that pretend to be one."""

import os
from pathlib import Path

import pytest
from pretended_machine import machine

from bakeoff.machine import gpus, limits
from bakeoff.machine.gpus import gpu_names

GB = 2**30
OWN, OLD = "0::/job/step\n", "4:cpu,cpuacct,memory:/job/step\n0::/\n"
GROUPS = "sys/fs/cgroup"


def siblings(*of_each: str) -> dict[str, str]:
    folder = "sys/devices/system/cpu"
    return {
        f"{folder}/cpu{number}/topology/thread_siblings_list": f"{text}\n"
        for number, text in enumerate(of_each)
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        # Two hardware threads of a core are one.
        (siblings("0,2", "1,3", "0,2", "1,3"), 2),
        (siblings("0-1", "0-1"), 3),
        ({"proc/self/cgroup": OWN, f"{GROUPS}/job/step/cpu.max": "250000 100000\n"}, 2),
        ({"proc/self/cgroup": OWN, f"{GROUPS}/job/step/cpu.max": "max 100000\n"}, 4),
        ({"proc/self/cgroup": OWN, f"{GROUPS}/job/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": OWN, f"{GROUPS}/cpu.max": "900000 100000\n"}, 4),
        (
            {
                "proc/self/cgroup": OLD,
                f"{GROUPS}/cpu/job/cpu.cfs_quota_us": "300000\n",
                f"{GROUPS}/cpu/job/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": OLD,
                f"{GROUPS}/cpu/cpu.cfs_quota_us": "-1\n",
                f"{GROUPS}/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        ({"proc/self/cgroup": OWN, f"{GROUPS}/cpu.max": "1 0\n", f"{GROUPS}/job/cpu.max": "nonsense\n"}, 4),
    ],
)
def test_cores_are_those_that_it_is_bound_to_and_that_its_group_allows(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert limits.usable_cores(machine(tmp_path, files)) == expected


def test_a_process_bound_to_one_core_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert limits.usable_cores(tmp_path) == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # not Linux
    assert limits.usable_cores(tmp_path) == 8


@pytest.mark.parametrize(("given", "threads"), [(None, 4), ("1", 1), ("6", 6), ("", 4), ("0", 4), ("x", 4)])
def test_threads_of_a_process_alone(given: str | None, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "usable_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert limits.threads_alone() == threads


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable: 5 kB\n"}, 8 * GB),
        ({"proc/meminfo": "MemTotal:\n"}, None),
        (
            {
                "proc/meminfo": "MemTotal: 8388608 kB\n",
                "proc/self/cgroup": OWN,
                f"{GROUPS}/job/memory.max": f"{GB}\n",
                f"{GROUPS}/job/step/memory.max": "max\n",
            },
            GB,
        ),
        ({"proc/self/cgroup": OLD, f"{GROUPS}/memory/job/memory.limit_in_bytes": f"{3 * GB}\n"}, 3 * GB),
        ({"proc/self/cgroup": OLD, f"{GROUPS}/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, None),
    ],
)
def test_all_memory_is_the_machines_or_its_groups(
    files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    assert limits.total_memory_bytes(machine(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", ["0"]),
        ("2, 0", ["2", "0"]),
        ("0,1,-1,2", ["0", "1"]),
        ("0,,1", ["0"]),
        ("1,1", []),
        ("GPU-8932f937-d72c,MIG-11cb0a2f-1234", ["GPU-8932f937-d72c", "MIG-11cb0a2f-1234"]),
        ("MIG-GPU-8932f937-d72c/1/0", ["MIG-GPU-8932f937-d72c/1/0"]),
    ],
)
def test_the_variable_says_which_gpus_there_are(
    visible: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_names(tmp_path) == names


def nvidia_smi(folder: Path, text: str, code: int = 0) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ntest \"$1\" = -L && cat <<'END'\n{text}END\nexit {code}\n")
    program.chmod(0o755)


WHOLE = "GPU 0: NVIDIA A100 (UUID: GPU-aaaa)\nGPU 1: NVIDIA A100 (UUID: GPU-bbbb)\n"
PARTS = """GPU 0: NVIDIA A100 (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111-22)
  MIG 3g.20gb     Device  1: (UUID: MIG-3333-44)
GPU 1: NVIDIA A100 (UUID: GPU-bbbb)
"""


def test_gpus_are_counted_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    programs, root = tmp_path / "bin", tmp_path / "root"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(gpus.shutil, "which", lambda name: str(programs / name))
    assert gpu_names(root) == []  # no driver
    nvidia_smi(programs, WHOLE)
    assert gpu_names(root) == ["0", "1"]  # as in Windows' subsystem, which has no such folder
    nvidia_smi(programs, "NVIDIA-SMI has failed because it could not communicate with the driver\n", code=9)
    assert gpu_names(root) == []
    for name in ("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"):
        (root / "proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert gpu_names(root) == ["0", "1", "2"]
    # A GPU that is divided: its parts have no numbers.
    (root / "proc/driver/nvidia/capabilities/gpu0/mig/gi1").mkdir(parents=True)
    nvidia_smi(programs, PARTS)
    assert gpu_names(root) == ["MIG-1111-22", "MIG-3333-44", "1"]
