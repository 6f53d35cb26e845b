"""What a finished run is: weights, predictions, scores, and the summary last.

Pictures and what else may fail without a loss come after it (`extras.py`).
"""

import time
from typing import Any

from bakeoff.data.splits import DataSet, fingerprint
from bakeoff.evaluation import cost, metrics
from bakeoff.evaluation.prediction import Predictions
from bakeoff.experiment.code import code_hash
from bakeoff.experiment.gates import Prepared
from bakeoff.machine.runtime import num_threads
from bakeoff.runs import attempts
from bakeoff.runs.records import (
    SCHEMA,
    EpochRecord,
    Fingerprints,
    ImageShape,
    Resolved,
    Speed,
    SplitScores,
    Summary,
    Times,
)
from bakeoff.runs.rundir import RunDir
from bakeoff.training.state import TrainState


def write_results(
    run: RunDir,
    prepared: Prepared,
    state: TrainState,
    test: Predictions,
    val: Predictions | None,
    fingerprints: Fingerprints,
    began: float,
) -> Summary:
    """Writes what makes a run a finished one. From the summary on, nothing can take that back."""
    config, names, runtime = prepared.config, prepared.data.class_names, prepared.runtime
    epochs = state.epochs
    images = sum(record.train_images_per_second * record.train_seconds for record in epochs)
    with state.times.phase("save", runtime.synchronize):
        run.write_weights(state.model.state_dict(), finished=True)
        run.write_predictions("test", test.index, test.label, test.probabilities)
        if val:
            run.write_predictions("val", val.index, val.label, val.probabilities)
    summary = Summary(
        schema=SCHEMA,
        run_id=run.run_id,
        identity=prepared.identity,
        setting=prepared.setting,
        status="finished",
        model=prepared.name,
        family=config.model["family"],
        weights=prepared.weights,
        data=prepared.data.name,
        data_title=prepared.title,
        seed=config.seed,
        epochs_run=len(epochs),
        steps_run=state.step,
        planned_steps=state.planned_steps,
        best_epoch=_chosen_epoch(prepared, state, epochs),
        test=_scores(test, names),
        val=_scores(val, names) if val else None,
        train_loss_final=epochs[-1].train_loss,
        time=phase_times(state, began),
        speed=Speed(images / state.times["train"]),
        cost=cost.measure_size(state.model, runtime, state.memory),
        fingerprint=fingerprints,
        num_skipped_pictures=len(prepared.data.skipped),
        parts=attempts.parts(run.path),
        resumed_from=prepared.resumed_from,
        input=ImageShape(*prepared.data.image_shape),
        resolved=Resolved(runtime.device.type, runtime.precision, num_threads(), test.batch_size),
    )
    run.write_summary(summary)
    return summary


def _chosen_epoch(prepared: Prepared, state: TrainState, epochs: list[EpochRecord]) -> int:
    return state.best.epoch if prepared.config.trainer.select == "best" and state.best else epochs[-1].epoch


def phase_times(state: TrainState, began: float) -> Times:
    """Seconds by phase so far, of a run that began at `began` by `time.perf_counter`."""
    times = state.times
    return Times(
        setup_seconds=times["setup"],
        train_seconds=times["train"],
        first_epoch_seconds=state.first_epoch_seconds,
        eval_seconds=times["eval"],
        save_seconds=times["save"],
        total_seconds=time.perf_counter() - began,
    )


def _scores(predictions: Predictions, names: tuple[str, ...]) -> SplitScores:
    return metrics.score(predictions.label, predictions.probabilities, names, predictions.extra)


def input_fingerprints(values: dict[str, Any], dataset: DataSet) -> Fingerprints:
    """Hashes of what goes into a run, taken before training."""
    names = dataset.class_names
    return Fingerprints(
        train_split=fingerprint(dataset.train, names),
        val_split=fingerprint(dataset.val, names) if dataset.val else None,
        test_split=fingerprint(dataset.test, names),
        code=code_hash(values),
    )
