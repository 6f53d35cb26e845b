"""The whole way of a measurement: models are opened one by one, tried, then timed in turn."""

import socket
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import numpy as np
import torch

from bakeoff.deploy.measure.memory import held_bytes, peak_bytes, why_too_large
from bakeoff.deploy.measure.rounds import ROUNDS, Timed, take_turns
from bakeoff.deploy.measure.subjects import Call, Opened, Subject
from bakeoff.errors import BakeoffError, ConfigError, ResourceError, is_out_of_memory
from bakeoff.machine.limits import usable_cores
from bakeoff.machine.load import Load, busy_note, current_load, most_threads, num_cores
from bakeoff.machine.runtime import choose_device, device_name
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import Bar, doing
from bakeoff.runs.measurements import Measurement
from bakeoff.text import counted

_CPU = torch.device("cpu")


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
class _Kind:
    """One model with one number of threads and one batch size."""

    taken: Taken
    opened: Opened
    threads: int
    batch_size: int
    timed: Timed
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """All that was measured, and what a reader must know of it."""

    taken: list[Taken]
    cautions: list[str]


def take(subjects: Sequence[Subject], asked: Asked) -> Outcome:
    """Measures models and files; what of it fails is named and does not stop the rest.

    The threads of this process are set back at the end.

    Raises:
        ConfigError: more threads than a process can have, or a device that is not there.
        InterruptedRunError: a signal came.
    """
    _check_threads(asked.threads)
    device = _device(asked.device)
    with _threads_set_back() as own:
        threads = asked.threads or (own,)
        load = current_load()
        before = {one: held_bytes(one) or 0 for one in {device, _CPU}}
        kinds: list[_Kind] = []
        taken = [Taken(subject) for subject in subjects]
        for one in taken:
            with doing(f"trying {one.subject.name}"):
                kinds += _tried(one, threads, asked, device, before)
        _time(kinds)
        loads = load, current_load()
        when = datetime.now(UTC).isoformat(timespec="seconds")
        for kind in kinds:
            _note(kind, when, load)
    return Outcome(taken, _cautions(loads, threads))


def _tried(
    taken: Taken, threads: Sequence[int], asked: Asked, device: torch.device, before: dict[torch.device, int]
) -> Iterator[_Kind]:
    """Opens a subject, once or for each number of threads, and tries what it is asked for."""
    subject = taken.subject
    for some in [(count,) for count in threads] if subject.is_file else [tuple(threads)]:
        where = _CPU if subject.is_file else device
        of_others = max(0, (held_bytes(where) or 0) - before[where])
        try:
            opened = subject.opened(some[0], asked.device)
        except BakeoffError as error:
            taken.error = error
            return
        taken.run_id = opened.run_id
        rates = cache(opened.rates)  # all threads share the images of a batch
        for count in some:
            for batch_size in sorted(asked.batch_sizes):
                check_stop()
                kind = _kind(taken, opened, rates, count, batch_size)
                if kind and _fits(kind, of_others):
                    yield kind


def _kind(
    taken: Taken, opened: Opened, rates: Callable[[int], Call], threads: int, batch_size: int
) -> _Kind | None:
    """What is to be timed, or None with a problem: the batch is foreseen not to fit."""
    torch.set_num_threads(threads)
    image_bytes = int(np.prod(opened.shape))
    problem = None
    try:
        problem = why_too_large(batch_size, rates, image_bytes, opened.device)
        if problem is None:
            timed = Timed(rates(batch_size), lambda: torch.set_num_threads(threads))
            return _Kind(taken, opened, threads, batch_size, timed)
    except Exception as error:  # noqa: BLE001 - what is no lack of memory is raised again
        problem = _problem(error)
    taken.problems.append(f"{_called(threads, batch_size)}: {problem}")
    return None


def _fits(kind: _Kind, of_others: int) -> bool:
    """Warms up, and notes the memory that this takes; False with a problem if it fails."""
    peak = peak_bytes(kind.timed.warm_up, kind.opened.device)
    kind.peak_bytes = None if peak is None else max(0, peak - of_others)
    return not _failed(kind)


def _failed(kind: _Kind) -> bool:
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


def _time(kinds: Sequence[_Kind]) -> None:
    with Bar("measuring", ROUNDS * len(kinds), "turns") as bar:

        def before_each() -> None:
            check_stop()
            bar.move_by(1)

        take_turns([kind.timed for kind in kinds], before_each)


def _note(kind: _Kind, when: str, load: Load) -> None:
    """Makes a record of a kind's calls."""
    seconds, opened = kind.timed.seconds, kind.opened
    if _failed(kind) or not seconds:
        return
    median = statistics.median(seconds)
    kind.taken.measurements.append(
        Measurement(
            time=when,
            host=socket.gethostname(),
            device=str(opened.device),
            device_name=device_name(opened.device),
            cpu=device_name(_CPU),
            torch=torch.__version__,
            precision=opened.precision,
            threads=kind.threads,
            batch_size=kind.batch_size,
            engine=opened.engine,
            file=kind.taken.subject.name if kind.taken.subject.is_file else None,
            latency_ms_median=1000 * median,
            latency_ms_p95=max(1000 * median, 1000 * float(np.percentile(seconds, 95))),
            images_per_second=kind.batch_size / median,
            peak_memory_bytes=kind.peak_bytes,
            load_average=load.average,
            repeats=len(seconds),
        )
    )


@contextmanager
def _threads_set_back() -> Iterator[int]:
    """The threads of the process, which are set back however the block ends."""
    own = torch.get_num_threads()
    try:
        yield own
    finally:
        torch.set_num_threads(own)


def _check_threads(threads: Sequence[int]) -> None:
    most = most_threads()
    if too_many := [count for count in threads if count > most]:
        raise ConfigError(
            f"--threads {too_many[0]}: more than {most}, the most on a machine of {num_cores()} cores; "
            "give fewer"
        )


def _device(name: str) -> torch.device:
    try:
        return choose_device(name)
    except ConfigError as error:
        raise ConfigError(f"--device {name}: {str(error).partition(': ')[2]}") from error


def _cautions(loads: Sequence[Load], threads: Sequence[int]) -> list[str]:
    """That something else ran at the beginning or at the end, and that threads share cores."""
    told = []
    busy = [load for load in loads if busy_note(load, max(threads))]
    if busy:
        load = max((one.average if one.others is None else one.others) or 0.0 for one in busy)
        told.append(
            f"the machine is busy (load of others {load:.1f} on {busy[0].cores} cores): these times are too "
            "long; measure again when nothing else runs"
        )
    if max(threads) > (cores := usable_cores()):
        told.append(
            f"{counted(max(threads), 'thread')} on {counted(cores, 'core')}: threads wait for each other"
        )
    return told
