"""One experiment, from a config to a run directory. Read this file first.

`gates.prepare` passes the three gates and leaves nothing on disk. `train` makes the run directory, runs
the loop, and evaluates the test split exactly once: after training, with the chosen weights. What makes
the result comes first, what only shows it after that. A signal is read at the borders between.
"""

import dataclasses
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from bakeoff.config.compose import Job
from bakeoff.config.schema import Config
from bakeoff.config.settled import with_absolute_paths
from bakeoff.data.splits import Split
from bakeoff.errors import InterruptedRunError
from bakeoff.evaluation.batch_size import EvaluationBatch
from bakeoff.evaluation.prediction import Predictions, predict
from bakeoff.experiment.code import code_files
from bakeoff.experiment.extras import Extras, attempt
from bakeoff.experiment.gates import SMALLER_MODEL, Prepared, description, memory_explained, prepare
from bakeoff.experiment.outcome import outcome_recorded
from bakeoff.experiment.progress import Pace, ProgressReport, say
from bakeoff.experiment.results import input_fingerprints, write_results
from bakeoff.machine.load import Load, busy_note
from bakeoff.machine.runtime import Runtime, describe, free_memory_bytes
from bakeoff.machine.signals import StopSignal, stopped_by
from bakeoff.machine.waiting import Bar, doing
from bakeoff.models.weights.origin import NAMES
from bakeoff.plots import style
from bakeoff.runs.records import Environment, EpochRecord, Summary
from bakeoff.runs.rundir import RunDir, single_run_folder, sweep_run_folder
from bakeoff.text import counted, percent, without_numbers
from bakeoff.training.loop import fit
from bakeoff.training.optim import make_optimizer
from bakeoff.training.state import TrainState, start

_HEARTBEAT_SECONDS = 15.0


def train(job: Job, stop: StopSignal, said: Collection[str] = ()) -> Path:
    """Trains one model and writes its run directory.

    Args:
        job: what to train.
        stop: the signals that came.
        said: notes that the sweep's earlier jobs have said, without their numbers (`without_numbers`).

    Returns:
        The run directory.

    Raises:
        BakeoffError: with the exit code of what went wrong; the run's status says so too.
    """
    began = time.perf_counter()
    prepared = prepare(job.values)
    config, runtime = prepared.config, prepared.runtime
    with doing("computing the hashes of the images"):
        fingerprints = input_fingerprints(job.values, prepared.data)
    with (
        doing("making the optimizer"),
        memory_explained(f"model={prepared.name}", "while the optimizer's state was made", SMALLER_MODEL),
    ):
        optimizer = make_optimizer(prepared.model.parameter_groups(), config.optim)
        state = start(prepared.model, optimizer, config.trainer, runtime)
    stop.check()
    run = RunDir.create(_folder(prepared))
    with outcome_recorded(run, state, config, stop):
        run.write_config(with_absolute_paths(job.values, NAMES), job.overrides)
        environment = describe(runtime)
        weights = prepared.model.weights_sha256
        code = code_files(job.values)
        run.write_environment(dataclasses.replace(environment, code=code, weights_sha256=weights))
        if prepared.data.files is not None:
            run.write_files(prepared.data.files, prepared.data.skipped)
        _announce(run, prepared, environment, said)
        with doing("checking whether pictures can be drawn"):
            attempt(run, "pictures", style.check)  # now, and not after hours
        train_split = _resident(prepared.data.train, config, runtime)
        val_split = _resident(prepared.data.val, config, runtime) if prepared.data.val else None
        state.times.seconds["setup"] = time.perf_counter() - began
        stop.check()
        eval_batch = EvaluationBatch(config.trainer.eval_batch_size, lambda text: say(run, text))
        epochs = _run_loop(run, prepared, state, train_split, val_split, stop, eval_batch)
        chosen = state.best.weights if config.trainer.select == "best" and state.best else None
        state.model.load_state_dict(chosen or state.judged.state_dict())
        with state.memory.phase("eval", runtime.device), state.times.phase("eval", runtime.synchronize):
            # The one time in a run that test images go through the model.
            test = _rated(state, prepared.data.test, "test", runtime, eval_batch, config.optim.lr)
            val = None
            if val_split:
                val = _rated(state, val_split, "validation", runtime, eval_batch, config.optim.lr)
        # From here to the summary no signal is read: a finished training is not thrown away.
        with doing("writing weights and predictions"):
            summary = write_results(run, prepared, state, epochs, test, val, fingerprints, began)
    summary = Extras(run, prepared, state, epochs, test, summary).make(stop, began)
    _conclude(run, summary, in_sweep=config.sweep.name is not None)
    return run.path


def _rated(
    state: TrainState, split: Split, title: str, runtime: Runtime, eval_batch: EvaluationBatch, lr: float
) -> Predictions:
    with Bar(title, len(split)) as bar:
        return predict(state.model, split, runtime, eval_batch, rated=bar.move_to, lr=lr)


def _run_loop(
    run: RunDir,
    prepared: Prepared,
    state: TrainState,
    train_split: Split,
    val_split: Split | None,
    stop: StopSignal,
    eval_batch: EvaluationBatch,
) -> list[EpochRecord]:
    """Consumes the loop: history, heartbeat, early stopping, interruption."""
    config, epochs = prepared.config, []
    report = ProgressReport(len(train_split), len(val_split or ()), config.trainer.epochs)
    patience = config.trainer.early_stopping_patience_epochs
    beat = time.monotonic()
    pace = Pace(config.trainer.epochs, patience, beat)
    events = fit(
        state,
        train_split,
        val_split,
        config,
        prepared.runtime,
        pause=lambda: stop.name is not None or time.monotonic() - beat > _HEARTBEAT_SECONDS,
        progress=report,
        eval_batch=eval_batch,
        rated=report.rated,
    )
    with closing(report):  # however it ends
        report.begin_epoch(1)
        for event in events:
            with state.times.phase("save", prepared.runtime.synchronize):
                if isinstance(event, EpochRecord):
                    epochs.append(event)
                    run.append_epoch(event)
                    report.end_epoch(run, event)
                    if rest := pace.after(event.epoch, time.monotonic()):
                        say(run, rest)
                run.write_status("running", state.step)
                beat = time.monotonic()
            if stop.name is not None:
                raise InterruptedRunError(
                    f"{stopped_by(stop.name)} in step {state.step}, epoch {state.epoch}"
                )
            if isinstance(event, EpochRecord) and patience and state.epochs_without_gain >= patience:
                say(run, f"no better validation accuracy for {counted(patience, 'epoch')}: stopped early")
                break
            if isinstance(event, EpochRecord):
                report.begin_epoch(event.epoch + 1)
    return epochs


def _folder(prepared: Prepared) -> Path:
    config = prepared.config
    if config.sweep.name is None:
        return single_run_folder(config.output_dir, prepared.name, prepared.title, config.seed)
    return sweep_run_folder(
        config.output_dir, config.sweep.name, prepared.name, prepared.title, config.seed, prepared.identity
    )


def _resident(split: Split, config: Config, runtime: Runtime) -> Split:
    """Moves a split to the device if asked to, or if it takes less than half of the free memory."""
    free = free_memory_bytes(runtime.device)
    fits = free is None or split.num_bytes < free / 2
    wanted = config.data.residency
    return split.to(runtime.device) if wanted == "device" or (wanted == "auto" and fits) else split


def _announce(run: RunDir, prepared: Prepared, environment: Environment, said: Collection[str]) -> None:
    say(run, description(prepared))
    load = Load(environment.cores or 1, environment.load_average, environment.load_of_others)
    busy = busy_note(load, environment.threads)
    for note in [*prepared.notes, *([busy] if busy else [])]:
        if without_numbers(f"note: {note}") in said:
            run.log(f"note: {note}")
        else:
            say(run, f"note: {note}")


def _conclude(run: RunDir, summary: Summary, in_sweep: bool) -> None:
    test = summary.test
    no_answer = f", {test.num_no_answer} without a prediction" if test.num_no_answer else ""
    say(
        run,
        f"test accuracy {percent(test.accuracy)}, macro-F1 {percent(test.macro_f1)}, "
        f"test loss (NLL) {test.nll:.4f} "
        f"({test.num_images:,} images{no_answer}; weights of epoch {summary.best_epoch}; "
        f"{summary.time.train_seconds:,.1f} s of training)",
    )
    # Not broken at spaces: they are copied.
    print(f"run directory  {run.path}")
    if not in_sweep:  # a sweep ends with the comparison itself
        print(f"next           bakeoff compare {run.path.parent}")
