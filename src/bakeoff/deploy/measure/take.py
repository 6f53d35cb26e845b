"""The whole way of a measurement: models are opened one by one, tried, then timed in turn."""

import socket
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch

from bakeoff.deploy.measure.kinds import CPU, Asked, Kind, Taken, failed, tried
from bakeoff.deploy.measure.memory import held_bytes
from bakeoff.deploy.measure.rest import wait_for_rest
from bakeoff.deploy.measure.rounds import ROUNDS, take_turns
from bakeoff.deploy.measure.subjects import Subject
from bakeoff.errors import ConfigError
from bakeoff.machine.limits import usable_cores
from bakeoff.machine.load import Load, busy_note, current_load, most_threads, num_cores
from bakeoff.machine.runtime import choose_device, device_name
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import Bar, doing
from bakeoff.runs.measurements import Measurement
from bakeoff.text import counted


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
        before = {one: held_bytes(one) or 0 for one in {device, CPU}}
        kinds: list[Kind] = []
        taken = [Taken(subject) for subject in subjects]
        for one in taken:
            with doing(f"trying {one.subject.name}"):
                kinds += tried(one, threads, asked, device, before)
        _time(kinds)
        wait_for_rest()
        loads = load, current_load()
        when = datetime.now(UTC).isoformat(timespec="seconds")
        is_disturbed = any(busy_note(one, max(threads)) for one in loads)
        for kind in kinds:
            _note(kind, when, load, is_disturbed=is_disturbed)
    return Outcome(taken, _cautions(loads, threads))


def _time(kinds: Sequence[Kind]) -> None:
    with Bar("measuring", ROUNDS * len(kinds), "turns") as bar:

        def before_each() -> None:
            check_stop()
            bar.move_by(1)
            wait_for_rest()

        take_turns([kind.timed for kind in kinds], before_each)


def _note(kind: Kind, when: str, load: Load, *, is_disturbed: bool) -> None:
    """Makes a record of a kind's calls."""
    seconds, opened = kind.timed.seconds, kind.opened
    if failed(kind) or not seconds:
        return
    median = statistics.median(seconds)
    kind.taken.measurements.append(
        Measurement(
            time=when,
            host=socket.gethostname(),
            device=str(opened.device),
            device_name=device_name(opened.device),
            cpu=device_name(CPU),
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
            disturbed=is_disturbed,
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
