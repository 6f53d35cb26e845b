"""Memory: what is available to a process, and the most that each phase of a run took."""

import resource
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from bakeoff.machine.eager import EagerMode
from bakeoff.machine.limits import memory_groups


def available_memory_bytes(device: torch.device) -> int | None:
    """What a device can still give this process; None where that is not known.

    On a GPU what torch holds and does not use counts as available; on the CPU the memory limit of the
    control group (a container, a job of a cluster) counts as much as the machine's own memory.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return host_available_bytes()


def host_available_bytes(root: Path = Path("/"), *, with_swap: bool = False) -> int | None:
    """Available memory of the machine or of the control group, whichever is less. `root` is for tests."""
    found = [_meminfo_bytes(root, with_swap), *_group_headrooms(root)]
    known = [each for each in found if each is not None]
    return max(0, min(known)) if known else None


def _meminfo_bytes(root: Path, with_swap: bool) -> int | None:
    names = ("MemAvailable:", "SwapFree:") if with_swap else ("MemAvailable:",)
    try:
        lines = [line.split() for line in (root / "proc/meminfo").read_text().splitlines()]
        found = {words[0]: int(words[1]) * 1024 for words in lines if words and words[0] in names}
    except (OSError, ValueError, IndexError):
        return None
    return sum(found.values()) if "MemAvailable:" in found else None


def _group_headrooms(root: Path) -> Iterator[int]:
    """What is left below each memory limit that holds for this process, from its own group to the top."""
    for folder, limit, version in memory_groups(root):
        if version == 2:
            used, cache = "memory.current", "inactive_file"
        else:
            used, cache = "memory.usage_in_bytes", "total_inactive_file"
        with suppress(OSError, ValueError):
            yield limit - int((folder / used).read_text()) + _reclaimable(folder, cache)


def _reclaimable(folder: Path, name: str) -> int:
    """Bytes of files in the page cache, which the kernel gives up before anything is killed."""
    with suppress(OSError, ValueError, IndexError):
        for line in (folder / "memory.stat").read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return 0


def peak_memory_bytes(device: torch.device) -> int:
    """Resident memory of the process on the CPU, allocated memory on a GPU; the highest since a reset."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Not Linux, where this begins with what the process had that started us: a notebook, or a test.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux


class LiveBytes(EagerMode):
    """Counts the bytes of the tensors that operators make, while they live; those in `known` do not count.

    With a limit, for tensors on the host, it refuses in time: Linux gives memory that it does not have, and
    kills whoever fills it.
    """

    def __init__(self, known: Iterable[Tensor] = (), limit: int | None = None) -> None:
        super().__init__()
        self.peak = 0
        self._limit = limit
        self._now = 0
        self._places = {tensor.untyped_storage().data_ptr() for tensor in known}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Lets an operator do its work and counts what it has made.

        Raises:
            MemoryError: more than the limit.
        """
        del types
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            # Neither shapes without memory ("meta") nor pretended tensors, which are subclasses.
            is_real = type(tensor) is Tensor and tensor.device.type != "meta"
            if is_real and (self._limit is None or tensor.device.type == "cpu"):
                self._count(tensor.untyped_storage())
        if self._limit is not None and self._now > self._limit:
            raise MemoryError(f"{self._now:,} bytes where {self._limit:,} are available")
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, num_bytes = storage.data_ptr(), storage.nbytes()
        if place not in self._places:
            self._places.add(place)
            self._now += num_bytes
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._gone, place, num_bytes).atexit = False

    def _gone(self, place: int, num_bytes: int) -> None:
        self._places.discard(place)
        self._now -= num_bytes


@dataclass
class PhasePeaks:
    """The highest memory of each phase, and of all. Plain numbers, so that a copy of a state carries them."""

    phases: dict[str, int] = field(default_factory=dict)
    highest: int = 0

    @contextmanager
    def phase(self, name: str, device: torch.device) -> Iterator[None]:
        """Notes the peak of a block.

        Where the mark of the highest memory cannot be set back (not Linux), a block that stays below what
        was taken before it has no figure of its own, and none is noted.
        """
        before = peak_memory_bytes(device)
        self.highest = max(self.highest, before)
        has_own = _reset_peak(device)
        try:
            yield
        finally:
            peak = peak_memory_bytes(device)
            self.highest = max(self.highest, peak)
            if has_own or peak > before:
                self.phases[name] = max(self.phases.get(name, 0), peak)

    def of_all(self, device: torch.device) -> int:
        """The highest of the whole run so far."""
        return max(self.highest, peak_memory_bytes(device))


def _reset_peak(device: torch.device) -> bool:
    """Sets the mark of the highest memory to what is taken now; False if that cannot be done."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5")  # see proc(5)
    except OSError:
        return False
    return True
