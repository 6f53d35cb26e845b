"""What this process may use of the machine: cores and memory, by the machine, its own group and its owner.

No torch here. `root` is for tests.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")
# A limit of a control group that means none: on 64 bits, version 1 writes a number near 2^63.
NO_LIMIT = 2**60


def usable_cores(root: Path = _ROOT) -> int:
    """Cores that this process may use, at least 1: those that it is bound to, as far as its group allows.

    Two hardware threads of one core count once, as they do for torch.
    """
    try:
        numbers = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        numbers = set(range(os.cpu_count() or 1))
    cores = len({_core(root, number) for number in numbers})
    return max(1, min([cores, *(int(quota) for quota in _core_quotas(root))]))


def threads_alone() -> int:
    """Threads that torch takes for a process that is alone and is told nothing."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else usable_cores()


def total_memory_bytes(root: Path = _ROOT) -> int | None:
    """All memory of the machine or of the control group, used or not; None where that is not known."""
    known = [limit for _, limit, _ in memory_groups(root)]
    with suppress(OSError, ValueError, IndexError):
        lines = (root / "proc/meminfo").read_text().splitlines()
        known += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    return min(known, default=None)


def memory_groups(root: Path = _ROOT) -> Iterator[tuple[Path, int, int]]:
    """Each memory limit that holds for this process: the group's folder, the limit in bytes, the version."""
    for folder, version in _groups("memory", root):
        with suppress(OSError, ValueError):
            most = int((folder / ("memory.max" if version == 2 else "memory.limit_in_bytes")).read_text())
            if most < NO_LIMIT:  # "max" is no number: no limit
                yield folder, most, version


def _core_quotas(root: Path) -> Iterator[float]:
    """Seconds of processor time in a second, as each group allows."""
    for folder, version in _groups("cpu", root):
        with suppress(OSError, ValueError, ZeroDivisionError):
            if version == 2:
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            if int(quota) > 0:  # "max" is no number; version 1 writes -1
                yield int(quota) / int(period)


def _core(root: Path, number: int) -> str:
    """What the hardware threads of one core have in common."""
    path = root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
    with suppress(OSError):
        return path.read_text().strip()
    return str(number)


def _groups(controller: str, root: Path) -> Iterator[tuple[Path, int]]:
    """The control groups that hold for this process, its own to the top: folder, version."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    groups = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            top, version = groups, 2
        elif controller in controllers.split(","):
            top, version = groups / controller, 1
        else:
            continue
        # Inside a container the path may be the host's, and only the top is there.
        own = top / path.strip("/")
        yield from ((folder, version) for folder in (own, *own.parents) if folder.is_relative_to(top))
