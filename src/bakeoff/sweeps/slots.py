"""How many jobs run at once, and what each may use. No torch here.

What decides changes no bits by chance: cores, GPUs and memory of the machine, `sweep.jobs`, and the size of
the work of all jobs; neither how many are left, nor what else the machine does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bakeoff.machine.gpus import gpu_names
from bakeoff.machine.limits import threads_alone, total_memory_bytes, usable_cores
from bakeoff.sweeps.child import Slot
from bakeoff.text import counted

AUTO: Literal["auto"] = "auto"
# Work so small is done faster by more jobs of one thread than by one of more (docs/benchmarks.md).
_SMALL_PARAMETERS = 5_000_000
_SMALL_SIDE = 64  # pixels
# What a job takes at most, about: Python with torch and its workspace; the images, also while they are read;
# each parameter with its gradient, the optimizer's two and the best so far.
_BYTES_OF_A_PROCESS = 1_000_000_000
_TIMES_THE_DATA = 2
_BYTES_OF_A_PARAMETER = 20


@dataclass(frozen=True)
class Size:
    """The work of one job, as the gates have found it."""

    parameters: int
    side: int  # of an image, in pixels
    train_images: int
    data_bytes: int  # of the images of all splits
    device: str  # what `trainer.device` became: cpu, cuda, cuda:1
    threads: int | None = None  # trainer.threads

    @property
    def is_small(self) -> bool:
        """Whether one core is enough for it."""
        return self.parameters <= _SMALL_PARAMETERS and self.side <= _SMALL_SIDE

    @property
    def memory_bytes(self) -> int:
        """About the most that it takes of the machine's memory."""
        data, parameters = _TIMES_THE_DATA * self.data_bytes, _BYTES_OF_A_PARAMETER * self.parameters
        return _BYTES_OF_A_PROCESS + data + parameters


def slots(asked: int | str, sizes: Sequence[Size]) -> list[Slot]:
    """As many as jobs may run at once.

    Args:
        asked: `sweep.jobs`, a number or "auto".
        sizes: of all jobs of the sweep if it is "auto"; of those that are to be done are enough for a number.
    """
    cores = usable_cores()
    gpus = _shared_out_gpus(sizes)
    count = asked if isinstance(asked, int) else _auto(sizes, cores, gpus)
    threads = max(1, min(threads_alone(), cores // count))
    return [Slot(threads, gpus[number % len(gpus)] if gpus else None) for number in range(count)]


def side_by_side_note(chosen: Sequence[Slot], sizes: Sequence[Size]) -> str | None:
    """What a person should know of jobs that share a GPU or a core."""
    gpus, cores = {slot.gpu for slot in chosen} - {None}, usable_cores()
    threads = max(size.threads or chosen[0].threads for size in sizes) if sizes else chosen[0].threads
    if gpus and len(chosen) > len(gpus):
        return (
            f"{counted(len(chosen), 'run')} at once share {counted(len(gpus), 'GPU')}: each is slower, and "
            "their memory must hold all of them; sweep.jobs=auto is one run per GPU"
        )
    if not gpus and len(chosen) > 1 and len(chosen) * threads > cores:
        of = f" of {threads} threads" if threads > 1 else ""
        return (
            f"{counted(len(chosen), 'run')}{of} at once share {counted(cores, 'core')}: each is slower, and "
            f"all of them are done no sooner than with sweep.jobs={max(1, cores // threads)}"
        )
    return None


def _auto(sizes: Sequence[Size], cores: int, gpus: Sequence[str]) -> int:
    if gpus:
        count = len(gpus)
    elif all(size.device == "cpu" and size.is_small for size in sizes):
        count = cores // max((size.threads or 1 for size in sizes), default=1)
    else:
        count = 1
    memory = total_memory_bytes()
    if memory is not None and sizes:
        count = min(count, memory // max(size.memory_bytes for size in sizes))
    return max(1, count)


def _shared_out_gpus(sizes: Sequence[Size]) -> list[str]:
    """The GPUs, if jobs use whichever is theirs; a run that names one, as cuda:1, must see all of them."""
    devices = {size.device for size in sizes}
    return gpu_names() if "cuda" in devices and devices <= {"cpu", "cuda"} else []
