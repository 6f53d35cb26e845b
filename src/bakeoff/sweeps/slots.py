"""How many jobs run at once, and what each may use. No torch here.

What decides changes no bits by chance: the number of cores, of GPUs, and the size of the work; not the load.
"""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bakeoff.machine.load import num_cores
from bakeoff.sweeps.child import Slot

AUTO = "auto"
_GPU_FOLDERS = Path("/proc/driver/nvidia/gpus")
# Work so small is done faster by more jobs of one thread than by one of more (docs/benchmarks.md).
_SMALL_PARAMETERS = 5_000_000
_SMALL_SIDE = 64  # pixels


def slots(asked: int | str, sizes: Sequence[Mapping[str, int]], devices: Collection[str]) -> list[Slot]:
    """As many as jobs may run at once.

    Args:
        asked: `sweep.jobs`, a number or "auto".
        sizes: of each job `parameters` and `side` (pixels), as the gates have found them.
        devices: the values of `trainer.device` of the jobs.
    """
    on_gpu = all(device in ("auto", "cuda") for device in devices)
    gpus = gpu_names() if on_gpu else []
    cores = num_cores()
    if isinstance(asked, int):
        count = asked
    elif gpus:
        count = len(gpus)
    else:
        small = all(size["parameters"] <= _SMALL_PARAMETERS and size["side"] <= _SMALL_SIDE for size in sizes)
        count = cores if small else 1
    threads = max(1, cores // count)
    return [Slot(threads, gpus[number % len(gpus)] if gpus else None) for number in range(count)]


def gpu_names() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() and not name.strip().startswith("-")]
    if _GPU_FOLDERS.is_dir():
        return [str(number) for number in range(len(list(_GPU_FOLDERS.iterdir())))]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(number) for number, _ in enumerate(listed.stdout.splitlines())]
