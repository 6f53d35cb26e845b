"""What calls take of memory, in a process that holds other models too, and whether a batch will fit."""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from bakeoff.machine.memory import LiveBytes, PhasePeaks, available_memory_bytes

_STEP = 8  # times as many images as were tried before
_ROOM_FOR_KERNELS = 2  # times the tensors: as for an evaluation's batch (evaluation/batch_size.py)
_AT_LEAST = 5  # times its bytes: an image is there as bytes and as float32
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
    count: int, rates: Callable[[int], Callable[[], object]], image_bytes: int, device: torch.device
) -> str | None:
    """Whether a batch is foreseen to need more memory than there is; Linux ends whoever fills it.

    Foreseen from smaller batches, of which each one is at most eight times the one before: what does not grow
    with the batch, such as weights in another number format, may hide what does.

    Args:
        count: images of the batch.
        rates: a call that rates so many images.
        image_bytes: of one image.
        device: on which it is called.

    Returns:
        How much it would need and what there is; None if it fits, or if that is not known.
    """
    available = available_memory_bytes(device)
    if available is None or count <= _STEP:
        return None
    room = int(_SHARE_OF_AVAILABLE * available)
    an_image = at_least = image_bytes * _AT_LEAST
    if count * an_image <= room:
        size, peak = 1, _taken(rates(1), device)
        while size * _STEP < count:
            before, peak = peak, _taken(rates(size * _STEP), device)
            an_image = max(at_least, image_bytes + max(0, peak - before) // (size * (_STEP - 1)))
            size *= _STEP
            if min(count, size * _STEP) * an_image > room:
                break
        else:
            return None
    return f"does not fit into memory: it needs about {_gb(count * an_image)} of {_gb(room)}"


def _taken(call: Callable[[], object], device: torch.device) -> int:
    """The most that a call takes: of torch's tensors, or of the process where another library computes."""
    with LiveBytes() as live:
        call()
    if live.peak:
        return _ROOM_FOR_KERNELS * live.peak
    held_bytes(device)  # gives back what was freed, so that it is counted when it is taken again
    return peak_bytes(call, device) or 0


def _gb(count: int) -> str:
    return f"{count / 1e9:,.0f} GB" if count >= 1e10 else f"{count / 1e9:.2g} GB"
