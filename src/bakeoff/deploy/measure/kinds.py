"""Models opened one by one, and tried with each number of threads and each batch size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import torch

from bakeoff.deploy.measure.memory import held_bytes, peak_bytes, why_too_large
from bakeoff.deploy.measure.rounds import Timed
from bakeoff.deploy.measure.subjects import Call, Opened, Subject
from bakeoff.errors import BakeoffError, ResourceError, is_out_of_memory
from bakeoff.machine.signals import check_stop
from bakeoff.runs.measurements import Measurement
from bakeoff.text import counted

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Asked:
    """The options: what each model is measured with."""

    threads: tuple[int, ...]  # of the CPU; empty: as many as this process has
    batch_sizes: tuple[int, ...]  # images
    device: str = "auto"  # of runs; exported files compute on the CPU


@dataclass
class Taken:
    """What came of one model or file."""

    subject: Subject
    run_id: str | None = None  # None: it could not be opened
    measurements: list[Measurement] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what could not be measured, and why
    error: BakeoffError | None = None  # why it could not be opened


@dataclass
class Kind:
    """One model with one number of threads and one batch size."""

    taken: Taken
    opened: Opened
    threads: int
    batch_size: int
    timed: Timed
    peak_bytes: int | None = None


def tried(
    taken: Taken, threads: Sequence[int], asked: Asked, device: torch.device, before: dict[torch.device, int]
) -> Iterator[Kind]:
    """Opens a subject, once or for each number of threads, and tries what it is asked for."""
    subject = taken.subject
    for some in [(count,) for count in threads] if subject.is_file else [tuple(threads)]:
        where = CPU if subject.is_file else device
        of_others = max(0, (held_bytes(where) or 0) - before[where])
        try:
            opened = subject.opened(some[0], asked.device)
        except BakeoffError as error:
            taken.error = error
            return
        taken.run_id = opened.run_id
        # All threads share the images of a batch, and whether it fits.
        rates = cache(opened.rates)
        too_large = cache(partial(_why_too_large, opened, rates))
        for count in some:
            for batch_size in sorted(asked.batch_sizes):
                check_stop()
                kind = _kind(taken, opened, rates, too_large, count, batch_size)
                if kind and _fits(kind, of_others):
                    yield kind


def _kind(
    taken: Taken,
    opened: Opened,
    rates: Callable[[int], Call],
    too_large: Callable[[int], str | None],
    threads: int,
    batch_size: int,
) -> Kind | None:
    """What is to be timed, or None with a problem: the batch is foreseen not to fit."""
    try:
        problem = too_large(batch_size)
        if problem is None:
            timed = Timed(rates(batch_size), lambda: torch.set_num_threads(threads))
            return Kind(taken, opened, threads, batch_size, timed)
    except Exception as error:  # noqa: BLE001 - what is no lack of memory is raised again
        problem = _problem(error)
    taken.problems.append(f"{_called(threads, batch_size)}: {problem}")
    return None


def _why_too_large(opened: Opened, rates: Callable[[int], Call], batch_size: int) -> str | None:
    return why_too_large(batch_size, rates, int(np.prod(opened.shape)), opened.device)


def _fits(kind: Kind, of_others: int) -> bool:
    """Warms up, and notes the memory that this takes; False with a problem if it fails."""
    peak = peak_bytes(kind.timed.warm_up, kind.opened.device)
    kind.peak_bytes = None if peak is None else max(0, peak - of_others)
    return not failed(kind)


def failed(kind: Kind) -> bool:
    """Whether its calls ended by an error, which is noted."""
    if kind.timed.error is None:
        return False
    problem = f"{_called(kind.threads, kind.batch_size)}: {_problem(kind.timed.error)}"
    if problem not in kind.taken.problems:
        kind.taken.problems.append(problem)
    return True


def _problem(error: Exception) -> str:
    """What a failed call means.

    Raises:
        Exception: that is our own bug.
    """
    if isinstance(error, ResourceError) or is_out_of_memory(error):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return "does not fit into memory"
    if isinstance(error, BakeoffError):
        return str(error)
    raise error


def _called(threads: int, batch_size: int) -> str:
    return f"batch of {counted(batch_size, 'image')}, {counted(threads, 'thread')}"
