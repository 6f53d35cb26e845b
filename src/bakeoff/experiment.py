"""One experiment, from a config to a run directory. Read this file first.

`prepare` passes the three gates and leaves nothing on disk. `train` makes the run directory, runs
the loop, and evaluates the test split exactly once: after training, with the chosen weights.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff import cost, data, metrics, runtime
from bakeoff.compose import Job
from bakeoff.config import Config, check
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.splits import DataSet, Split, channel_statistics, fingerprint
from bakeoff.errors import InterruptedRunError
from bakeoff.identity import code_hash, identity, setting
from bakeoff.loop import Predictions, SavePoint, fit, predict
from bakeoff.models.base import Classifier, TaskSpec, check_model
from bakeoff.optim import make_optimizer
from bakeoff.outcome import outcome_recorded
from bakeoff.progress import ProgressReport
from bakeoff.records import SCHEMA, EpochRecord, Fingerprints, SplitScores, Summary, Times
from bakeoff.rundir import RunDir, single_run_folder, sweep_run_folder, write_test_images
from bakeoff.runtime import Runtime
from bakeoff.signals import StopSignal
from bakeoff.state import TrainState, copy_of_weights, start

_HEARTBEAT_SECONDS = 15.0
_LARGEST_STORED_SIDE = 32  # pixels; larger test images are not kept for reports


@dataclass(frozen=True)
class Prepared:
    """An experiment that passed all gates and has not touched the disk."""

    values: dict[str, Any]
    config: Config
    runtime: Runtime
    data: DataSet
    model: Classifier
    identity: str
    setting: str

    @property
    def name(self) -> str:
        """The model as the user calls it."""
        return str(self.config.model["name"])


def prepare(values: dict[str, Any], dataset: DataSet | None = None) -> Prepared:
    """Checks a config, loads its data (unless given) and builds its model, on the device.

    Raises:
        ConfigError: gate 1 (shared sections), 2 (the model's section) or 3 (what needs the data).
        DataError: data missing or damaged.
    """
    config = check(values)
    family, model_config = check_model(values)
    where = runtime.set_up(config.trainer, family.AUTO_PRECISION)
    dataset = dataset or data.load(config.data)
    task = _task(dataset, config)
    runtime.seed_everything(config.seed)
    model = family.build(model_config, task).to(where.device)
    if where.channels_last:
        # Weights alone: convolutions follow the layout of their weights.
        model = model.to(memory_format=runtime.CHANNELS_LAST)
    source = data_fingerprint(config.data.name, config.data.root)
    return Prepared(
        values, config, where, dataset, model, identity(values, source), setting(values, source)
    )


def train(job: Job, stop: StopSignal) -> Path:
    """Trains one model and writes its run directory.

    Returns:
        The run directory.

    Raises:
        BakeoffError: with the exit code of what went wrong; the run's status says so too.
    """
    began = time.perf_counter()
    prepared = prepare(job.values)
    config, where = prepared.config, prepared.runtime
    prints = _fingerprints(prepared.data)
    optimizer = make_optimizer(prepared.model.parameter_groups(), config.optim)
    state = start(prepared.model, optimizer, where)
    run = RunDir.create(_folder(prepared))
    with outcome_recorded(run, state, config.trainer.batch_size):
        run.write_status("running", 0)
        run.write_config(job.values, job.overrides)
        run.write_environment(runtime.describe(where))
        _announce(run, prepared)
        train_split = _resident(prepared.data.train, config, where)
        val_split = _resident(prepared.data.val, config, where) if prepared.data.val else None
        state.times.seconds["setup"] = time.perf_counter() - began
        epochs = _run_loop(run, prepared, state, train_split, val_split, stop)
        if config.trainer.select == "best" and state.best:
            state.model.load_state_dict(state.best.weights)
        with state.times.phase("eval", where.synchronize):
            # The one time in a run that test images go through the model.
            test = predict(state.model, prepared.data.test, where)
            val = predict(state.model, val_split, where) if val_split else None
        summary = _write_results(run, prepared, state, epochs, test, val, prints, began)
    _conclude(run, summary, in_sweep=config.sweep.name is not None)
    return run.path


def _run_loop(
    run: RunDir, prepared: Prepared, state: TrainState, train_split: Split, val_split: Split | None, stop: StopSignal
) -> list[EpochRecord]:
    """Consumes the loop: history, heartbeat, early stopping, interruption."""
    config, epochs = prepared.config, []
    report = ProgressReport(len(train_split), config.trainer.epochs)
    patience = config.trainer.early_stopping_patience_epochs
    beat = time.monotonic()
    events = fit(
        state,
        train_split,
        val_split,
        config,
        prepared.runtime,
        pause=lambda: stop.name is not None or time.monotonic() - beat > _HEARTBEAT_SECONDS,
        progress=report,
    )
    with stop.deferred():
        for event in events:
            with state.times.phase("save", prepared.runtime.synchronize):
                if isinstance(event, EpochRecord):
                    epochs.append(event)
                    run.append_epoch(event)
                    _say(run, report.end_epoch(event))
                run.write_status("running", state.step)
                beat = time.monotonic()
            if stop.name is not None:
                report.close()
                raise InterruptedRunError(f"{stop.name}: interrupted in step {state.step}, epoch {state.epoch}")
            if isinstance(event, EpochRecord) and patience and state.epochs_without_gain >= patience:
                _say(run, f"no better validation accuracy for {patience} epochs: stopped early")
                break
    return epochs


def _write_results(
    run: RunDir,
    prepared: Prepared,
    state: TrainState,
    epochs: list[EpochRecord],
    test: Predictions,
    val: Predictions | None,
    prints: Fingerprints,
    began: float,
) -> Summary:
    """Writes everything that a finished run has, the summary last."""
    config, names, where = prepared.config, prepared.data.class_names, prepared.runtime
    images = sum(record.train_images_per_second * record.train_seconds for record in epochs)
    speed = cost.measure_speed(state.model, prepared.data.test, where, images / state.times["train"])
    spent = cost.measure_cost(state.model, prepared.data.test, where)
    with state.times.phase("save", where.synchronize):
        run.write_predictions("test", test.index, test.label, test.probabilities)
        if val:
            run.write_predictions("val", val.index, val.label, val.probabilities)
        counts = metrics.confusion(test.label, metrics.answers(test.probabilities), len(names))
        run.write_confusion(names, counts)
        run.write_weights(copy_of_weights(state.model), finished=True)
        _store_test_images(prepared, prints.test_split)
        from bakeoff import plots

        title = f"{prepared.name} on {prepared.data.name}, seed {config.seed}"
        plots.draw_all(run, title, epochs, counts, names, prepared.data.test, test)
    times = state.times
    chosen = state.best.epoch if config.trainer.select == "best" and state.best else epochs[-1].epoch
    summary = Summary(
        schema=SCHEMA,
        run_id=run.run_id,
        identity=prepared.identity,
        setting=prepared.setting,
        status="finished",
        model=prepared.name,
        family=config.model["family"],
        weights="none",
        data=prepared.data.name,
        seed=config.seed,
        epochs_run=len(epochs),
        best_epoch=chosen,
        test=_scores(test, names),
        val=_scores(val, names) if val else None,
        train_loss_final=epochs[-1].train_loss,
        time=Times(
            setup_seconds=times["setup"],
            train_seconds=times["train"],
            first_epoch_seconds=state.first_epoch_seconds,
            eval_seconds=times["eval"],
            save_seconds=times["save"],
            total_seconds=time.perf_counter() - began,
        ),
        speed=speed,
        cost=spent,
        fingerprint=prints,
    )
    run.write_status("finished", state.step)
    run.write_summary(summary)
    return summary


def _task(dataset: DataSet, config: Config) -> TaskSpec:
    mean, std = channel_statistics(dataset.train)
    return TaskSpec(
        *dataset.image_shape,
        class_names=dataset.class_names,
        mean=tuple(mean),
        std=tuple(std),
        label_smoothing=config.trainer.label_smoothing,
    )


def _fingerprints(dataset: DataSet) -> Fingerprints:
    names = dataset.class_names
    return Fingerprints(
        train_split=fingerprint(dataset.train, names),
        val_split=fingerprint(dataset.val, names) if dataset.val else None,
        test_split=fingerprint(dataset.test, names),
        code=code_hash(),
    )


def _folder(prepared: Prepared) -> Path:
    config = prepared.config
    if config.sweep.name is None:
        return single_run_folder(config.output_dir, prepared.name, config.data.name, config.seed)
    return sweep_run_folder(
        config.output_dir, config.sweep.name, prepared.name, config.data.name, config.seed, prepared.identity
    )


def _resident(split: Split, config: Config, where: Runtime) -> Split:
    """Moves a split to the device if asked to, or if it takes less than half of the free memory."""
    free = runtime.free_memory_bytes(where.device)
    fits = free is None or split.num_bytes < free / 2
    wanted = config.data.residency
    return split.to(where.device) if wanted == "device" or (wanted == "auto" and fits) else split


def _store_test_images(prepared: Prepared, test_hash: str) -> None:
    split = prepared.data.test
    if max(prepared.data.image_shape[1:]) <= _LARGEST_STORED_SIDE:
        images, labels = split.as_arrays()
        write_test_images(Path(prepared.config.output_dir), test_hash, images, labels)


def _scores(predictions: Predictions, names: tuple[str, ...]) -> SplitScores:
    return metrics.score(predictions.label, predictions.probabilities, names, predictions.extra)


def _say(run: RunDir, text: str) -> None:
    print(text, flush=True)
    run.log(text)


def description(prepared: Prepared) -> str:
    """The line that a run starts with."""
    dataset, where = prepared.data, prepared.runtime
    sizes = [f"{len(split):,} {name}" for name, split in dataset.splits() if split]
    parameters = sum(p.numel() for p in prepared.model.parameters())
    return (
        f"{prepared.name} on {dataset.name}: {parameters:,} parameters; images {', '.join(sizes)}; "
        f"{where.device} ({runtime.device_name(where.device)}), {runtime.num_threads()} threads, {where.precision}"
    )


def _announce(run: RunDir, prepared: Prepared) -> None:
    _say(run, description(prepared))
    for note in prepared.data.notes:
        _say(run, f"note: {note}")


def _conclude(run: RunDir, summary: Summary, in_sweep: bool) -> None:
    test = summary.test
    no_answer = f", {test.num_no_answer} without an answer" if test.num_no_answer else ""
    _say(
        run,
        f"test accuracy {test.accuracy:.2%}  macro-F1 {test.macro_f1:.2%}  NLL {test.nll:.4f}  "
        f"({test.num_images:,} images{no_answer}; weights of epoch {summary.best_epoch}; "
        f"{summary.time.train_seconds:.1f} s of training)",
    )
    print(f"run directory  {run.path}")
    if not in_sweep:  # a sweep ends with the comparison itself
        print(f"next           bakeoff compare {run.path.parent}")
