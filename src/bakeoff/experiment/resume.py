"""A run goes on from its newest checkpoint, as if it had never been stopped.

What it began with must be there unchanged: config, data and the code that trains. What made the bits of its
first part, the number of threads, is set again.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

from bakeoff.config.canonical import identifying_config
from bakeoff.config.strict import dotted_keys
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.errors import ResumeError
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.code import code_files
from bakeoff.experiment.gates import Prepared, prepare
from bakeoff.experiment.outcome import outcome_recorded
from bakeoff.experiment.part import Part, finish, train_and_test
from bakeoff.experiment.progress import say
from bakeoff.experiment.results import input_fingerprints
from bakeoff.experiment.train import first_state
from bakeoff.machine.runtime import num_threads
from bakeoff.machine.signals import StopSignal
from bakeoff.models.weights.origin import NONE
from bakeoff.runs import attempts
from bakeoff.runs.checkpoints import Checkpoint, Checkpoints
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import CONFIG, STATUS, RunDir
from bakeoff.text import counted

_MOST_NAMED = 5


def resume(path: Path, stop: StopSignal) -> Path:
    """Trains the rest of a run.

    Returns:
        The run directory.

    Raises:
        ResumeError: something changed, another process works on it, it diverged, or no checkpoint is whole.
        BakeoffError: as in `train`.
    """
    part_began = time.perf_counter()
    run = RunDir(path)
    values = _config(path)
    first = _first_part(path)
    attempts.check_free(path)
    _refuse_changes(path, values, first)
    checkpoint, problems = Checkpoints(path, values["trainer"]["keep_checkpoints"]).newest()
    if problems and checkpoint is None:
        raise ResumeError(f"{path}: no checkpoint is whole ({problems[-1]}); train it anew")
    prepared = _prepared(values, first, checkpoint)
    fingerprints = input_fingerprints(values, prepared.data)
    state = first_state(prepared)
    if checkpoint is not None:
        state.load_state_dict(checkpoint.parts())
    stop.check()
    claim = attempts.begin(path, first)
    began = part_began - state.total_seconds
    keeper = Keeper(run, state, prepared.config.trainer, claim, began)
    keeper.checkpoints.newest()  # its best weights are linked to
    with outcome_recorded(run, state, prepared.config, stop, keeper):
        run.rewrite_epochs(state.epochs)
        _announce(run, prepared, state.step, state.epoch, problems)
        part = Part(run, prepared, state, stop, keeper, fingerprints, began, part_began)
        test, summary = train_and_test(part)
    return finish(part, test, summary)


def _config(path: Path) -> dict[str, Any]:
    try:
        # Killed in its first moment it has none.
        status = read_json(path / STATUS, attempts=2) if (path / STATUS).exists() else {}
        values = read_json(path / CONFIG)
    except UnreadableFileError as error:
        raise ResumeError(f"{path}: {error}; it cannot go on") from error
    if status.get("status") == "diverged":
        raise ResumeError(f"{path}: it diverged ({status.get('error')}); train it anew with other settings")
    del values["schema"]
    return values


def _first_part(path: Path) -> dict[str, Any]:
    """What the run began with."""
    found = attempts.records(path)
    wanted = ("identity", "setting", "weights", "config", "data", "code", "threads", "device", "precision")
    if not found or any(name not in found[0] for name in wanted):
        raise ResumeError(f"{path}: nothing says what it began with (another version made it); train it anew")
    return {name: found[0][name] for name in wanted}


def _refuse_changes(path: Path, values: dict[str, Any], first: dict[str, Any]) -> None:
    """Names what is not as it was.

    Raises:
        ResumeError: something is not.
    """
    before, now = dotted_keys(first["config"]), dotted_keys(identifying_config(values))
    changed = [key for key in {**before, **now} if before.get(key, ...) != now.get(key, ...)]
    files = code_files(values)
    changed += [name for name in {**first["code"], **files} if first["code"].get(name) != files.get(name)]
    root = values["data"]["root"]
    if not changed and data_fingerprint(values["data"]["name"], root) != first["data"]:
        changed = [f"the data in {root}"]
    if changed:
        more = f" and {len(changed) - _MOST_NAMED} more" if changed[_MOST_NAMED:] else ""
        raise ResumeError(
            f"{path}: changed since it began: {', '.join(changed[:_MOST_NAMED])}{more}; put that back, or "
            "train a new run"
        )


def _prepared(values: dict[str, Any], first: dict[str, Any], checkpoint: Checkpoint | None) -> Prepared:
    """The gates again, with the threads of the first part."""
    trainer = {**values["trainer"], "threads": first["threads"]}
    model = dict(values["model"])
    if checkpoint is not None and "weights" in model:
        model["weights"] = NONE  # the checkpoint holds all of them
    prepared = prepare({**values, "trainer": trainer, "model": model})
    for name, now in (("device", str(prepared.runtime.device)), ("precision", prepared.runtime.precision)):
        if first[name] != now:
            raise ResumeError(f"trainer.{name}: the run began with {first[name]}, here it is {now}")
    return dataclasses.replace(
        prepared, identity=first["identity"], setting=first["setting"], weights=first["weights"]
    )


def _announce(run: RunDir, prepared: Prepared, step: int, epoch: int, problems: list[str]) -> None:
    for problem in problems:
        say(run, f"note: a checkpoint is not whole and is not used: {problem}")
    done = f"from step {step:,}, epoch {epoch}" if step else "from the beginning: it has no checkpoint yet"
    threads = counted(num_threads(), "thread")
    say(run, f"{prepared.name} on {prepared.data.name} goes on {done}; {prepared.runtime.device}, {threads}")
