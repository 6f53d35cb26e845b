"""How busy the machine is, and how many threads it can carry. No torch here.

The average load of the last minute is recorded, but it still counts a run that has just ended, so a
sweep would call every run after its first one disturbed. What is said rests on who runs now.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Far more threads than cores are slow; far more than a system allows (100,000) end the process.
_THREADS_A_CORE, _FEWEST = 4, 64
_SAMPLES, _SECONDS_BETWEEN_SAMPLES = 10, 0.01
# Of a core: what a system does by itself.
_BACKGROUND = 0.5


@dataclass(frozen=True)
class Load:
    """What else the machine does. Fields are None where the system does not say."""

    cores: int
    average: float | None  # of the last minute, this process included
    others: float | None  # processes and threads of others that run or wait for a core now


def num_cores() -> int:
    """Cores of the machine; its load is that of all of them."""
    return os.cpu_count() or 1


def most_threads() -> int:
    """The most that `trainer.threads` may be here."""
    return max(_FEWEST, _THREADS_A_CORE * num_cores())


def average_load() -> float | None:
    """Average load of the last minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def current_load() -> Load:
    """Looks for a tenth of a second."""
    return Load(num_cores(), average_load(), _running_others())


def busy_note(load: Load, threads: int, in_sweep: bool = False) -> str | None:
    """A line if others leave no free core for each thread of a run, or of all runs of a sweep at once."""
    busy = load.average if load.others is None else load.others
    if busy is None or busy + min(threads, load.cores) <= load.cores + _BACKGROUND:
        return None
    said = f"the machine is busy: load {busy:.1f} on {load.cores} cores"
    if in_sweep:
        return f"{said}; the runs take longer, and their measured times are not reliable"
    if threads == 1:
        return f"{said}; this run takes longer, and its measured times are not reliable"
    return (
        f"{said}; this run's {threads} threads wait for each other (up to ten times as long); wait, or set "
        "trainer.threads=1"
    )


def _running_others() -> float | None:
    """Mean over some looks at what the kernel has in its queues, less the looking thread itself."""
    counts = []
    for _ in range(_SAMPLES):
        time.sleep(_SECONDS_BETWEEN_SAMPLES)
        try:
            running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        except (OSError, ValueError, IndexError):
            return None
        if running < 1:  # who reads this does run: the figure is not kept here
            return None
        counts.append(running - 1)
    return sum(counts) / len(counts)
