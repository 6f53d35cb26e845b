"""What calls take of memory, in a process that holds other models too, and whether a batch will fit."""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from bakeoff.machine.memory import PhasePeaks, available_memory_bytes

TRIED = 8  # images, from whose memory that of a batch is foreseen
_SHARE_OF_AVAILABLE = 0.8  # the rest is for others


def held_bytes(device: torch.device) -> int | None:
    """What this process holds now: resident on the CPU, allocated on a GPU; None where it is not known."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system; glibc has it
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def peak_bytes(calls: Callable[[], object], device: torch.device) -> int | None:
    """The most that the process holds while something is called; None where the system does not say."""
    peaks = PhasePeaks()
    with peaks.phase("calls", device):
        calls()
    return peaks.phases.get("calls")


def why_too_large(
    count: int, call: Callable[[], object], image_bytes: int, device: torch.device
) -> str | None:
    """Whether a batch is foreseen to need more memory than there is; Linux ends whoever fills it.

    Args:
        count: images of the batch.
        call: rates `TRIED` images.
        image_bytes: of one image.
        device: on which it is called.

    Returns:
        How much it would need and what there is; None if it fits, or if that is not known.
    """
    available = available_memory_bytes(device)
    if available is None or count <= TRIED:
        return None
    room = int(_SHARE_OF_AVAILABLE * available)
    needed = count * image_bytes
    if needed <= room and (before := held_bytes(device)) is not None:
        grown = max(0, (peak_bytes(call, device) or 0) - before)
        needed += count * grown // TRIED
    if needed <= room:
        return None
    return f"does not fit into memory: it needs about {_gb(needed)}, and {_gb(room)} can be had"


def _gb(count: int) -> str:
    return f"{count / 1e9:,.{0 if count >= 1e10 else 1}f} GB"
