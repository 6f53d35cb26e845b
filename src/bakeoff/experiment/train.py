"""One experiment, from a config to a run directory. Read this file first.

`gates.prepare` passes the three gates and leaves nothing on disk. `train` makes the run directory, runs
the loop, and evaluates the test split exactly once: after training, with the chosen weights. What makes
the result comes first, what only shows it after that. A signal is read at the borders between.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

from bakeoff.config.job import Job
from bakeoff.config.settled import with_absolute_paths
from bakeoff.experiment import beginning
from bakeoff.experiment.checkpointing import Keeper
from bakeoff.experiment.code import code_files
from bakeoff.experiment.gates import SMALLER_MODEL, Prepared, description, memory_explained, prepare
from bakeoff.experiment.outcome import outcome_recorded
from bakeoff.experiment.part import Part, finish, train_and_test
from bakeoff.experiment.progress import say
from bakeoff.experiment.results import input_fingerprints
from bakeoff.machine.load import Load, busy_note
from bakeoff.machine.runtime import describe
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing
from bakeoff.models.weights.origin import NAMES
from bakeoff.runs.records import Environment
from bakeoff.runs.rundir import RunDir, single_run_folder, sweep_run_folder
from bakeoff.training.optim import make_optimizer
from bakeoff.training.state import TrainState, start


def train(job: Job, stop: StopSignal) -> Path:
    """Trains one model and writes its run directory.

    Args:
        job: what to train.
        stop: the signals that came.

    Returns:
        The run directory.

    Raises:
        BakeoffError: with the exit code of what went wrong; the run's status says so too.
    """
    began = time.perf_counter()
    prepared = prepare(job.values)
    with doing("computing the hashes of the images"):
        fingerprints = input_fingerprints(job.values, prepared.data)
    state = first_state(prepared)
    environment = describe(prepared.runtime)
    stop.check()
    run = RunDir.create_named(lambda: _folder(prepared))
    keeper = Keeper(run, state, prepared.config.trainer, began)
    with outcome_recorded(run, state, prepared.config, stop, keeper):
        stored = with_absolute_paths(job.values, NAMES)
        run.write_config(stored, job.overrides)
        first = beginning.beginning(stored, prepared, environment)
        keeper.attempt = beginning.claim(run.path, first, environment, state)
        record_inputs(run, prepared, stored, environment)
        announce_start(run, prepared, environment)
        part = Part(run, prepared, state, stop, keeper, fingerprints, began, part_began=began)
        test, summary = train_and_test(part)
    return finish(part, test, summary)


def first_state(prepared: Prepared) -> TrainState:
    """The state before the first step."""
    config = prepared.config
    with (
        doing("making the optimizer"),
        memory_explained(f"model={prepared.name}", "while the optimizer's state was made", SMALLER_MODEL),
    ):
        optimizer = make_optimizer(prepared.model.parameter_groups(), config.optim)
        return start(prepared.model, optimizer, config.trainer, prepared.runtime)


def record_inputs(run: RunDir, prepared: Prepared, values: dict[str, Any], environment: Environment) -> None:
    """Writes on what, with which code and of which pictures the run is made."""
    code, weights = code_files(values), prepared.model.weights_sha256
    run.write_environment(dataclasses.replace(environment, code=code, weights_sha256=weights))
    if prepared.data.files is not None:
        run.write_files(prepared.data.files, prepared.data.skipped)


def _folder(prepared: Prepared) -> Path:
    config = prepared.config
    if config.sweep.name is None:
        return single_run_folder(config.output_dir, prepared.name, prepared.title, config.seed)
    return sweep_run_folder(
        config.output_dir, config.sweep.name, prepared.name, prepared.title, config.seed, prepared.identity
    )


def announce_start(run: RunDir, prepared: Prepared, environment: Environment) -> None:
    """The line that a run starts with, and what a person should know of it."""
    say(run, description(prepared))
    load = Load(environment.cores or 1, environment.load_average, environment.load_of_others)
    busy = busy_note(load, environment.threads)
    for note in [*prepared.notes, *([busy] if busy else [])]:
        say(run, f"note: {note}")
