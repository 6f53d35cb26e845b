"""What a finished run leaves: predictions, weights, pictures, and the summary last."""

import time
from pathlib import Path
from typing import Any

from bakeoff.data.splits import DataSet, fingerprint
from bakeoff.evaluation import cost, metrics
from bakeoff.evaluation.prediction import Predictions
from bakeoff.experiment.code import code_hash
from bakeoff.experiment.gates import Prepared
from bakeoff.plots import figures, overlays
from bakeoff.runs.records import SCHEMA, EpochRecord, Fingerprints, SplitScores, Summary, Times
from bakeoff.runs.rundir import RunDir, write_test_images
from bakeoff.training.state import TrainState

_LARGEST_STORED_SIDE = 32  # pixels; larger test images are not kept for reports


def write_results(
    run: RunDir,
    prepared: Prepared,
    state: TrainState,
    epochs: list[EpochRecord],
    test: Predictions,
    val: Predictions | None,
    fingerprints: Fingerprints,
    began: float,
) -> Summary:
    """Writes everything that a finished run has, the summary last."""
    config, names, runtime = prepared.config, prepared.data.class_names, prepared.runtime
    images = sum(record.train_images_per_second * record.train_seconds for record in epochs)
    speed = cost.measure_speed(state.model, prepared.data.test, runtime, images / state.times["train"])
    spent = cost.measure_cost(state.model, prepared.data.test, runtime)
    with state.times.phase("save", runtime.synchronize):
        run.write_predictions("test", test.index, test.label, test.probabilities)
        if val:
            run.write_predictions("val", val.index, val.label, val.probabilities)
        counts = metrics.confusion(test.label, metrics.answers(test.probabilities), len(names))
        run.write_confusion(names, counts)
        run.write_weights(state.model.state_dict(), finished=True)
        _store_test_images(prepared, fingerprints.test_split)
        title = f"{prepared.name} on {prepared.data.name}, seed {config.seed}"
        files = (prepared.data.files or {}).get("test")
        figures.draw_all(run, title, epochs, counts, names, prepared.data.test, test, files)
        overlays.draw_explanations(run, title, state.model, prepared.data.test, test, names, runtime)
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
        seed=config.seed,
        epochs_run=len(epochs),
        best_epoch=_chosen_epoch(prepared, state, epochs),
        test=_scores(test, names),
        val=_scores(val, names) if val else None,
        train_loss_final=epochs[-1].train_loss,
        time=_times(state, time.perf_counter() - began),
        speed=speed,
        cost=spent,
        fingerprint=fingerprints,
        num_skipped_pictures=len(prepared.data.skipped),
    )
    run.write_status("finished", state.step)
    run.write_summary(summary)
    return summary


def _chosen_epoch(prepared: Prepared, state: TrainState, epochs: list[EpochRecord]) -> int:
    return state.best.epoch if prepared.config.trainer.select == "best" and state.best else epochs[-1].epoch


def _times(state: TrainState, total_seconds: float) -> Times:
    times = state.times
    return Times(
        setup_seconds=times["setup"],
        train_seconds=times["train"],
        first_epoch_seconds=state.first_epoch_seconds,
        eval_seconds=times["eval"],
        save_seconds=times["save"],
        total_seconds=total_seconds,
    )


def _store_test_images(prepared: Prepared, test_hash: str) -> None:
    split = prepared.data.test
    if max(prepared.data.image_shape[1:]) <= _LARGEST_STORED_SIDE:
        images, labels = split.as_arrays()
        write_test_images(Path(prepared.config.output_dir), test_hash, images, labels)


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
