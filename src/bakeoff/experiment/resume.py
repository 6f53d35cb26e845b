"""A run goes on from its newest checkpoint, as if it had never been stopped.

What it began with must be there unchanged: config, data and the code that trains. What made the bits of its
first part, the number of threads, is set again. With more epochs, or on another device, it is another run:
it gets a directory of its own, and the stopped one stays as it is.
"""

import dataclasses
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bakeoff.config.canonical import DEVICE, EPOCHS
from bakeoff.errors import ResumeError
from bakeoff.experiment import beginning
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.gates import Prepared
from bakeoff.experiment.identity import identity_of_continued
from bakeoff.experiment.outcome import outcome_recorded
from bakeoff.experiment.part import Part, finish, train_and_test
from bakeoff.experiment.progress import say
from bakeoff.experiment.results import input_fingerprints
from bakeoff.experiment.stopped import Stopped, other_device, prepared_again, put_changes, read_stopped
from bakeoff.experiment.train import announce_start, first_state, record_inputs
from bakeoff.machine.runtime import describe, num_threads
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing
from bakeoff.runs import attempts
from bakeoff.runs.checkpoints import Checkpoint
from bakeoff.runs.records import Origin
from bakeoff.runs.rundir import RunDir, folder_beside
from bakeoff.text import counted
from bakeoff.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class InSweep:
    """What a sweep says of one of its runs."""

    identity: str  # of the run, as the sweep has checked it
    threads: int  # for a run that begins and whose config names no number
    jobs_at_once: int


def resume(
    path: Path,
    stop: StopSignal,
    data_root: str | None = None,
    changes: Mapping[str, Any] | None = None,
    allowed: Collection[str] = (),
    in_sweep: InSweep | None = None,
) -> Path:
    """Trains the rest of a run, or all of one that was never begun.

    Args:
        path: the run directory.
        stop: the signals that came.
        data_root: where its data are now; None: where they were, or else with all data sets.
        changes: keys of `MAY_CHANGE` with their new values.
        allowed: those of them that may differ from what the run began with.
        in_sweep: what the sweep that it belongs to says of it.

    Returns:
        The run directory; a new one if something that is allowed has changed.

    Raises:
        ResumeError: something changed, another process works on it, it diverged, or no checkpoint is whole.
        BakeoffError: as in `train`.
    """
    part_began = time.perf_counter()
    stopped = read_stopped(path, data_root)
    changed = put_changes(stopped, changes or {}, allowed)
    prepared = prepared_again(stopped, changed, in_sweep.threads if in_sweep else None)
    changed |= other_device(stopped, prepared, allowed)
    environment = describe(prepared.runtime)
    if in_sweep:
        _refuse_unexpected(path, prepared, in_sweep)
        environment = dataclasses.replace(environment, jobs_at_once=in_sweep.jobs_at_once)
    with doing("computing the hashes of the images"):
        fingerprints = input_fingerprints(stopped.values, prepared.data)
    state = _state(stopped, prepared, changed)
    stop.check()
    began = part_began - state.total_seconds
    if changed:
        prepared = _as_another_run(prepared, Origin(path.name, state.step, changed))
        run = RunDir.create_named(lambda: _new_folder(path, prepared))
        keeper = Keeper(run, state, prepared.config.trainer, began)
        try:
            keeper.save()  # first of all: without it this run would begin from nothing
        except BaseException:
            shutil.rmtree(run.path, ignore_errors=True)  # nothing would say what this folder is
            raise
        run.write_config(stopped.values, [f"{key}={value}" for key, value in changed.items()])
        first = beginning.beginning(stopped.values, prepared, environment)
    else:
        run = RunDir(path)
        keeper = Keeper(run, state, prepared.config.trainer, began)
        keeper.checkpoints = stopped.checkpoints  # the best weights of the one that was read are linked to
        first = stopped.first or beginning.beginning(stopped.values, prepared, environment)
    after, before = (0, attempts.history(path)) if changed else (stopped.attempt, [])
    keeper.attempt = beginning.claim(run.path, first, environment, state, after, before)
    keeper.checkpoints.tidy()
    with outcome_recorded(run, state, prepared.config, stop, keeper):
        if stopped.first is not None:
            run.rewrite_epochs(state.epochs)
        if changed or stopped.checkpoint is None:
            record_inputs(run, prepared, stopped.values, environment)
        notes = [f"a checkpoint is damaged and is not used ({problem})" for problem in stopped.problems]
        if changed:
            notes.append(f"it goes on in a new run directory; {path} stays as it is")
        notes += beginning.other_versions(first, environment)
        if stopped.first is None:
            announce_start(run, prepared, environment)
        else:
            _announce(run, prepared, state, notes)
        part = Part(run, prepared, state, stop, keeper, fingerprints, began, part_began)
        test, summary = train_and_test(part)
    return finish(part, test, summary)


def _refuse_unexpected(path: Path, prepared: Prepared, in_sweep: InSweep) -> None:
    """A directory that holds another run than its sweep has checked.

    Raises:
        ResumeError: it does.
    """
    if prepared.identity != in_sweep.identity:
        told = "its config, data or code are not those that its sweep has checked"
        raise ResumeError(f"{path}: {told}; give the sweep's command again")


def _state(stopped: Stopped, prepared: Prepared, changed: Collection[str]) -> TrainState:
    """Where the newest checkpoint stands, or the beginning.

    Raises:
        ResumeError: a piece is missing, or more epochs would change nothing.
    """
    state = first_state(prepared)
    if stopped.checkpoint is not None:
        state.load_state_dict(_parts(stopped.checkpoint, state, DEVICE in changed))
    if EPOCHS in changed:  # the plan of a budget was for fewer
        budget = prepared.config.trainer.max_seconds
        if budget is not None and state.times["train"] >= budget:
            told = f"its trainer.max_seconds={budget:g} are over; more epochs would not train it longer"
            raise ResumeError(f"{stopped.path}: {told}")
        state.planned_steps = state.planned_at_step = state.out_of_time_at_step = None
    return state


def _parts(checkpoint: Checkpoint, state: TrainState, other_device: bool) -> dict[str, Any]:
    """What the checkpoint holds; another device has random numbers, and perhaps a loss scale, of its own."""
    parts = checkpoint.parts()
    if other_device:

        def of_device(name: str) -> bool:
            return name.startswith(("rng.", "loss_scale."))

        kept = {name: own for name, own in parts["optimizer"].items() if not of_device(name)}
        fresh = state.state_dict()["optimizer"]
        parts["optimizer"] = kept | {name: own for name, own in fresh.items() if of_device(name)}
    return parts


def _new_folder(path: Path, prepared: Prepared) -> Path:
    seed = prepared.config.seed
    return folder_beside(path, prepared.name, prepared.title, seed, prepared.identity)


def _as_another_run(prepared: Prepared, origin: Origin) -> Prepared:
    return dataclasses.replace(
        prepared,
        identity=identity_of_continued(prepared.identity, origin),
        setting=identity_of_continued(prepared.setting, origin),
        resumed_from=origin,
    )


def _announce(run: RunDir, prepared: Prepared, state: TrainState, notes: Collection[str]) -> None:
    print(f"run directory  {run.path}")  # not broken at spaces: it is copied
    for note in notes:
        say(run, f"note: {note}")
    epochs = prepared.config.trainer.epochs
    done = (
        f"from step {state.step:,}, epoch {min(state.epoch, epochs)} of {epochs}"
        if state.step
        else "from the beginning: it has no checkpoint"
    )
    threads = counted(num_threads(), "thread")
    say(run, f"{prepared.name} on {prepared.title} goes on {done}; {prepared.runtime.device}, {threads}")
