"""A run that was stopped: whether it can go on, and what of it has changed since it began."""

import dataclasses
import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.config.canonical import DEVICE, EPOCHS, MAY_CHANGE
from bakeoff.config.schema import parse
from bakeoff.errors import ConfigError, ResumeError
from bakeoff.experiment import beginning
from bakeoff.experiment.beginning import Beginning
from bakeoff.experiment.gates import Prepared, prepare
from bakeoff.machine.waiting import doing
from bakeoff.runs import attempts
from bakeoff.runs.checkpoints import Checkpoint, Checkpoints
from bakeoff.runs.paths import data_root_here
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import CONFIG, ENVIRONMENT, STATUS, SUMMARY
from bakeoff.runs.states import DIVERGED, PRUNED
from bakeoff.text import counted

_MOST_NAMED = 5


@dataclass(frozen=True)
class Stopped:
    """A run that nobody works on."""

    path: Path
    values: dict[str, Any]  # its config, with this machine's places
    first: Beginning | None  # None: it was killed before it had begun
    attempt: int  # the number of its newest one
    checkpoints: Checkpoints
    checkpoint: Checkpoint | None  # the newest
    problems: list[str]  # of those that should be newer


def read_stopped(path: Path, data_root: str | None) -> Stopped:
    """What there is of a run.

    Raises:
        ResumeError: it cannot go on.
    """
    attempt = attempts.check_free(path)
    if (path / SUMMARY).exists():  # asked now: whoever worked on it has just done with it
        raise ResumeError(f"{path}: it has finished")
    try:
        # Killed in its first moment it has none.
        status = read_json(path / STATUS, attempts=2) if (path / STATUS).exists() else {}
        if not (path / CONFIG).exists():
            raise ResumeError(f"{path}: it was stopped before its first file was written; train it anew")
        values = read_json(path / CONFIG)
    except UnreadableFileError as error:
        raise ResumeError(f"{path}: {error}; it cannot go on") from error
    if status.get("status") == DIVERGED:
        raise ResumeError(f"{path}: it diverged ({status.get('error')}); {_anew(path, 'KEY=VALUE')}")
    if status.get("status") == PRUNED:
        raise ResumeError(f"{path}: a search stopped it early, and it does not go on; {_anew(path)}")
    values.pop("schema", None)
    try:
        config = parse(values)  # it may be anybody's
    except ConfigError as error:
        raise ResumeError(f"{path / CONFIG}: {error}; it cannot go on") from error
    values["data"]["root"] = data_root or data_root_here(config.data.name, config.data.root)
    first = beginning.read_beginning(path)
    with doing("checking the newest checkpoint"):
        checkpoints = Checkpoints(path, config.trainer.keep_checkpoints)
        checkpoint, problems = checkpoints.newest()
    if problems and checkpoint is None:
        raise ResumeError(f"{path}: no checkpoint is whole ({problems[-1]}); {_anew(path)}")
    if first is None and checkpoint is not None:  # as a process leaves it that is killed where --allow begins
        raise ResumeError(f"{path}: it has a checkpoint, and nothing says what it began with; train it anew")
    return Stopped(path, values, first, attempt, checkpoints, checkpoint, problems)


def _anew(path: Path, change: str = "") -> str:
    return f"train it anew: bakeoff train --config {shlex.quote(str(path))} {change}".rstrip()


def put_changes(stopped: Stopped, changes: Mapping[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """Puts new values into the config; those that make another run.

    Raises:
        ResumeError: something that is not allowed differs from what the run began with.
    """
    path, values, first = stopped.path, stopped.values, stopped.first
    if first is None and changes:
        raise ResumeError(f"{path}: it was stopped before it had begun; {_anew(path, 'KEY=VALUE')}")
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
                f"{path}: it has no checkpoint to go on from; {_anew(path, f'{EPOCHS}={epochs}')}"
            )
    return {key: _value(values, key) for key in changed}


def _value(values: Mapping[str, Any], key: str) -> Any:
    section, name = key.split(".")
    return values[section][name]


def prepared_again(stopped: Stopped, changed: Mapping[str, Any], threads: int | None = None) -> Prepared:
    """The gates again, with the threads of the first part.

    Without a first part it has `threads`, unless its config says how many.
    """
    values, first = stopped.values, stopped.first
    if first is None:
        threads = values["trainer"].get("threads") or threads
        return prepare({**values, "trainer": {**values["trainer"], "threads": threads}})
    trainer = {**values["trainer"], "threads": first.threads}
    has_weights = stopped.checkpoint is not None  # all of them
    try:
        prepared = prepare({**values, "trainer": trainer}, weights_follow=has_weights)
    except ConfigError as error:
        if str(error).startswith("trainer.threads="):
            told = f"it began with {counted(first.threads, 'thread')}, which this machine does not have"
            raise ResumeError(
                f"{stopped.path}: {told}; go on with it on one that has as many cores"
            ) from error
        if not str(error).startswith(f"{DEVICE}=") or DEVICE in changed:
            raise
        cure = f"with --allow {DEVICE}=auto it goes on in a new run directory"
        raise ResumeError(f"{stopped.path}: {error}; {cure}") from error
    if has_weights:
        prepared.model.weights_sha256 = _recorded_weights(stopped.path)
    if stopped.checkpoint is None and not changed and prepared.identity != first.identity:
        raise ResumeError(f"{stopped.path}: changed since it began: model.weights; put the file back")
    return dataclasses.replace(
        prepared,
        identity=first.identity,
        setting=first.setting,
        weights=first.weights,
        resumed_from=first.resumed_from,
    )


def _recorded_weights(path: Path) -> str | None:
    """The hash of the file of a run's first weights; None: from scratch, or its record cannot be read."""
    with suppress(UnreadableFileError):
        found = read_json(path / ENVIRONMENT).get("weights_sha256")
        return found if isinstance(found, str) else None
    return None


def other_device(stopped: Stopped, prepared: Prepared, allowed: Collection[str]) -> dict[str, Any]:
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
            f"{stopped.path}: it has no checkpoint to go on from; {_anew(stopped.path, f'{DEVICE}={now}')}"
        )
    return {DEVICE: now}
