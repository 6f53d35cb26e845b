"""A run goes on from its newest checkpoint, as if it had never been stopped.

What it began with must be there unchanged: config, data and the code that trains. What made the bits of its
first part, the number of threads, is set again. With more epochs, or on another device, it is another run:
it gets a directory of its own, and the stopped one stays as it is.
"""

import dataclasses
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.errors import ResumeError
from bakeoff.experiment import beginning
from bakeoff.experiment.beginning import Beginning
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.gates import Prepared, prepare
from bakeoff.experiment.identity import identity_of_continued
from bakeoff.experiment.outcome import outcome_recorded
from bakeoff.experiment.part import Part, finish, train_and_test
from bakeoff.experiment.progress import say
from bakeoff.experiment.results import input_fingerprints
from bakeoff.experiment.train import first_state, record_inputs
from bakeoff.machine.runtime import describe, num_threads
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing
from bakeoff.models.weights.origin import NONE
from bakeoff.runs import attempts
from bakeoff.runs.checkpoints import Checkpoint, Checkpoints
from bakeoff.runs.paths import data_root_here
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.records import Origin
from bakeoff.runs.rundir import CONFIG, STATUS, RunDir, folder_beside
from bakeoff.text import counted
from bakeoff.training.state import TrainState

EPOCHS, DEVICE = "trainer.epochs", "trainer.device"
MAY_CHANGE = (EPOCHS, DEVICE)
_MOST_NAMED = 5


@dataclass(frozen=True)
class _Stopped:
    """A run that nobody works on."""

    path: Path
    values: dict[str, Any]  # its config, with this machine's places
    first: Beginning | None  # None: it was killed before it had begun
    checkpoint: Checkpoint | None
    problems: list[str]  # of newer checkpoints


def resume(
    path: Path,
    stop: StopSignal,
    data_root: str | None = None,
    changes: Mapping[str, Any] | None = None,
    allowed: Collection[str] = (),
) -> Path:
    """Trains the rest of a run.

    Args:
        path: the run directory.
        stop: the signals that came.
        data_root: where its data are now; None: where they were, or else with all data sets.
        changes: keys of `MAY_CHANGE` with their new values.
        allowed: those of them that may differ from what the run began with.

    Returns:
        The run directory; a new one if something that is allowed has changed.

    Raises:
        ResumeError: something changed, another process works on it, it diverged, or no checkpoint is whole.
        BakeoffError: as in `train`.
    """
    part_began = time.perf_counter()
    stopped = _stopped(path, data_root)
    changed = _changes(stopped, changes or {}, allowed)
    prepared = _prepared(stopped, changed)
    changed |= _other_device(stopped, prepared, allowed)
    environment = describe(prepared.runtime)
    with doing("computing the hashes of the images"):
        fingerprints = input_fingerprints(stopped.values, prepared.data)
    state = first_state(prepared)
    if stopped.checkpoint is not None:
        state.load_state_dict(_parts(stopped.checkpoint, state, DEVICE in changed))
    stop.check()
    began = part_began - state.total_seconds
    if changed:
        prepared = _as_another_run(prepared, Origin(path.name, state.step, changed))
        run = RunDir.create(_new_folder(path, prepared))
        keeper = Keeper(run, state, prepared.config.trainer, began)
        keeper.save()  # first of all: without it this run would begin from nothing
        run.write_config(stopped.values, [f"{key}={value}" for key, value in changed.items()])
        first = beginning.beginning(stopped.values, prepared, environment)
    else:
        run = RunDir(path)
        keeper = Keeper(run, state, prepared.config.trainer, began)
        first = stopped.first or beginning.beginning(stopped.values, prepared, environment)
    keeper.attempt = beginning.claim(run.path, first, environment, state)
    keeper.checkpoints.newest()  # its best weights are linked to
    with outcome_recorded(run, state, prepared.config, stop, keeper):
        run.rewrite_epochs(state.epochs)
        if changed or stopped.checkpoint is None:
            record_inputs(run, prepared, stopped.values, environment)
        notes = [f"a checkpoint is not whole and is not used: {problem}" for problem in stopped.problems]
        notes += beginning.other_versions(first, environment)
        _announce(run, prepared, state, notes)
        part = Part(run, prepared, state, stop, keeper, fingerprints, began, part_began)
        test, summary = train_and_test(part)
    return finish(part, test, summary)


def _stopped(path: Path, data_root: str | None) -> _Stopped:
    """What there is of a run.

    Raises:
        ResumeError: it cannot go on.
    """
    attempts.check_free(path)
    try:
        # Killed in its first moment it has none.
        status = read_json(path / STATUS, attempts=2) if (path / STATUS).exists() else {}
        if not (path / CONFIG).exists():
            raise ResumeError(f"{path}: it was stopped before its first file was written; train it anew")
        values = read_json(path / CONFIG)
    except UnreadableFileError as error:
        raise ResumeError(f"{path}: {error}; it cannot go on") from error
    if status.get("status") == "diverged":
        raise ResumeError(f"{path}: it diverged ({status.get('error')}); train it anew with other settings")
    values.pop("schema", None)
    data = values.get("data")
    if isinstance(data, dict):  # else a gate says what is wrong
        data["root"] = data_root or data_root_here(str(data.get("name")), str(data.get("root")))
    first = beginning.read_beginning(path)
    with doing("checking the newest checkpoint"):
        checkpoint, problems = Checkpoints(path, keep=1).newest()
    if problems and checkpoint is None:
        raise ResumeError(f"{path}: no checkpoint is whole ({problems[-1]}); train it anew")
    return _Stopped(path, values, first, checkpoint, problems)


def _changes(stopped: _Stopped, changes: Mapping[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """Puts new values into the config; those that make another run.

    Raises:
        ResumeError: something that is not allowed differs from what the run began with.
    """
    path, values, first = stopped.path, stopped.values, stopped.first
    if first is None and changes:
        raise ResumeError(
            f"{path}: it was stopped before it had begun; train it anew with {next(iter(changes))}"
        )
    before = values["trainer"]["epochs"]
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    changed = beginning.changes_since(first, values) if first else {}
    if other := [key for key in changed if key not in allowed or key not in MAY_CHANGE]:
        more = f" and {len(other) - _MOST_NAMED} more" if other[_MOST_NAMED:] else ""
        shown = ", ".join(changed[key] for key in other[:_MOST_NAMED])
        cure = "put that back, or train a new run"
        if set(other) <= set(MAY_CHANGE):
            cure = f"with {' '.join(f'--allow {key}' for key in other)} it goes on in a new run directory"
        raise ResumeError(f"{path}: changed since it began: {shown}{more}; {cure}")
    if EPOCHS in changed:
        epochs = values["trainer"]["epochs"]
        if isinstance(epochs, int) and epochs <= before:
            raise ResumeError(f"{EPOCHS}={epochs}: the run has {before}; it can only go on with more of them")
        if stopped.checkpoint is None:
            raise ResumeError(
                f"{path}: it has no checkpoint to go on from; train it anew with {EPOCHS}={epochs}"
            )
    return {key: _value(values, key) for key in changed}


def _value(values: Mapping[str, Any], key: str) -> Any:
    section, name = key.split(".")
    return values[section][name]


def _prepared(stopped: _Stopped, changed: Mapping[str, Any]) -> Prepared:
    """The gates again, with the threads of the first part."""
    values, first = stopped.values, stopped.first
    if first is None:
        return prepare(values)
    trainer = {**values["trainer"], "threads": first.threads}
    model = dict(values["model"])
    if stopped.checkpoint is not None and "weights" in model:
        model["weights"] = NONE  # the checkpoint holds all of them
    prepared = prepare({**values, "trainer": trainer, "model": model})
    if stopped.checkpoint is None and not changed and prepared.identity != first.identity:
        raise ResumeError(f"{stopped.path}: changed since it began: model.weights; put the file back")
    return dataclasses.replace(
        prepared,
        identity=first.identity,
        setting=first.setting,
        weights=first.weights,
        resumed_from=first.resumed_from,
    )


def _other_device(stopped: _Stopped, prepared: Prepared, allowed: Collection[str]) -> dict[str, Any]:
    """The device, if it is another than the run began with.

    Raises:
        ResumeError: it may not be.
    """
    first = stopped.first
    if first is None:
        return {}
    now = prepared.runtime.device.type
    if (now, prepared.runtime.precision) == (first.device, first.precision):
        return {}
    if DEVICE not in allowed:
        raise ResumeError(
            f"{stopped.path}: it began on {first.device} in {first.precision}, and here it would go on on "
            f"{now} in {prepared.runtime.precision}; with --allow {DEVICE} it does, in a new run directory"
        )
    if stopped.checkpoint is None:
        raise ResumeError(
            f"{stopped.path}: it has no checkpoint to go on from; train it anew with {DEVICE}={now}"
        )
    return {DEVICE: now}


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
    for note in notes:
        say(run, f"note: {note}")
    epoch = min(state.epoch, prepared.config.trainer.epochs)
    done = (
        f"from step {state.step:,}, epoch {epoch}"
        if state.step
        else "from the beginning: it has no checkpoint"
    )
    threads = counted(num_threads(), "thread")
    say(run, f"{prepared.name} on {prepared.title} goes on {done}; {prepared.runtime.device}, {threads}")
