"""The one loop: `fit` trains any `Classifier`, `predict` rates the images of a split.

`fit` is a generator. It yields an `EpochRecord` after each epoch and a `SavePoint` at a step border
when `pause()` asks for one, with the clock stopped; whoever consumes it logs, saves and stops. In a
step the host reads nothing from the device.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bakeoff import metrics, optim
from bakeoff.config import Config
from bakeoff.data.batches import Batch, evaluation_batches, num_batches, plan_epoch, training_batches
from bakeoff.data.splits import Split
from bakeoff.errors import DivergedError
from bakeoff.models.base import Classifier
from bakeoff.records import EpochRecord, ValidationScores
from bakeoff.runtime import Runtime, restore_rng_states, rng_states
from bakeoff.state import Best, TrainState, copy_of_weights

EVALUATION_BATCH_SIZE = 512
# The host looks at the guard this often; the steps after a bad one are lost time, not lost weights.
_STEPS_BETWEEN_CHECKS = 50


@dataclass(frozen=True)
class SavePoint:
    """A step border: the state is whole and nothing runs."""

    state: TrainState


class Progress(Protocol):
    """Told of every step; must not read the loss more than now and then."""

    def __call__(self, state: TrainState, num_images: int, loss: Tensor) -> None:
        """`loss` is a scalar on the device: reading it makes the host wait."""


def fit(
    state: TrainState,
    train: Split,
    val: Split | None,
    config: Config,
    runtime: Runtime,
    pause: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> Iterator[EpochRecord | SavePoint]:
    """Trains from where `state` stands to the last epoch.

    Args:
        state: changed in place.
        train: the training images.
        val: judged after each epoch; None to train without. Training does not depend on it.
        config: `seed`, `data.augment`, `optim` and `trainer` are read.
        runtime: device and precision.
        pause: asked after each step whether a `SavePoint` is due.
        progress: told of each step.

    Raises:
        DivergedError: a loss or gradient was not finite; the model holds its last good weights.
    """
    trainer = config.trainer
    steps_per_epoch = num_batches(len(train), trainer.batch_size)
    restore_rng_states(state.rng, runtime.device)
    while state.epoch <= trainer.epochs:
        state.model.set_epoch(state.epoch)
        state.model.train()
        with state.times.phase("train", runtime.synchronize):
            plan = plan_epoch(train, config.data.augment, config.seed, state.epoch, runtime.device)
            batches = training_batches(
                train,
                plan,
                trainer.batch_size,
                config.data.augment.shift_pixels,
                runtime.device,
                state.step_in_epoch,
            )
        while state.step_in_epoch < steps_per_epoch:
            with state.times.phase("train", runtime.synchronize):
                paused = _train_until_pause(state, batches, config, runtime, steps_per_epoch, pause, progress)
            if paused:
                state.rng = rng_states(runtime.device)
                yield SavePoint(state)
        yield _end_epoch(state, len(train), val, config, runtime, steps_per_epoch)


def _train_until_pause(
    state: TrainState,
    batches: Iterator[Batch],
    config: Config,
    runtime: Runtime,
    steps_per_epoch: int,
    pause: Callable[[], bool],
    progress: Progress | None,
) -> bool:
    """Steps until a pause is wanted (True) or the epoch is over (False)."""
    for batch in batches:
        lr = optim.learning_rate(state.step, config.optim, steps_per_epoch, config.trainer.epochs)
        optim.set_learning_rate(state.optimizer, lr)
        loss = train_step(state, batch, config.optim.clip_norm, runtime)
        state.step += 1
        state.step_in_epoch += 1
        if progress:
            progress(state, len(batch.labels), loss)
        last = state.step_in_epoch == steps_per_epoch
        # The host waits for the device here, and only here.
        if (last or state.step % _STEPS_BETWEEN_CHECKS == 0) and state.guard.tripped():
            _diverged(state, lr)
        if pause():
            return True
    return False


def train_step(state: TrainState, batch: Batch, clip_norm: float | None, runtime: Runtime) -> Tensor:
    """Losses, sum, backward, clip, step. Returns the loss, a scalar on the device."""
    with runtime.autocast():
        parts = state.model.losses(batch)
        loss = torch.stack(list(parts.values())).sum()
    loss.backward()
    parameters = [p for p in state.model.parameters() if p.grad is not None]
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_norm is not None:
        clip_grads_with_norm_(parameters, clip_norm, norm)
    state.guard.step(state.optimizer, loss.detach(), norm)
    state.optimizer.zero_grad(set_to_none=True)
    for name, part in parts.items():
        sums = state.loss_sums.get(name)
        weighted = part.detach() * len(batch.labels)
        state.loss_sums[name] = weighted if sums is None else sums + weighted
    return loss.detach()


def _diverged(state: TrainState, lr: float) -> None:
    state.guard.restore_buffers()
    state.optimizer.zero_grad(set_to_none=True)
    good = int(state.guard.good_steps.item())
    state.step = good
    raise DivergedError(
        f"optim.lr={lr:.3g}: the loss, a gradient or a running statistic is not finite in step {good + 1}, "
        f"epoch {state.epoch}; lower optim.lr, set optim.clip_norm or trainer.precision=fp32"
    )


def _end_epoch(
    state: TrainState,
    num_images: int,
    val: Split | None,
    config: Config,
    runtime: Runtime,
    steps_per_epoch: int,
) -> EpochRecord:
    """Judges the weights, keeps the best, and moves the counters to the next epoch."""
    seconds = state.times["train"] - state.train_seconds_before_epoch
    evaluated_before = state.times["eval"]
    scores = None
    if val is not None:
        with state.times.phase("eval", runtime.synchronize):
            scores = validate(state.model, val, runtime)
            _keep_best(state, scores, config.trainer.select == "best")
    # Read once an epoch: the device is idle already.
    parts = {name: float(sums) / num_images for name, sums in state.loss_sums.items()}
    record = EpochRecord(
        epoch=state.epoch,
        step=state.step,
        lr=optim.learning_rate(state.step - 1, config.optim, steps_per_epoch, config.trainer.epochs),
        train_loss=sum(parts.values()),
        train_loss_parts=parts,
        val=scores,
        train_seconds=seconds,
        eval_seconds=state.times["eval"] - evaluated_before,
        train_images_per_second=num_images / seconds,
    )
    if state.epoch == 1:
        state.first_epoch_seconds = seconds
    state.epoch += 1
    state.step_in_epoch = 0
    state.loss_sums = {}
    state.train_seconds_before_epoch = state.times["train"]
    state.rng = rng_states(runtime.device)
    return record


def _keep_best(state: TrainState, scores: ValidationScores, keep_weights: bool) -> None:
    """Best by accuracy, ties to the lower NLL."""
    best = state.best
    if best and (scores.accuracy, -scores.nll) <= (best.scores.accuracy, -best.scores.nll):
        state.epochs_without_gain += 1
        return
    state.epochs_without_gain = 0
    state.best = Best(state.epoch, scores, copy_of_weights(state.model) if keep_weights else {})


@dataclass(frozen=True)
class Predictions:
    """What a model says of a split, in the split's order."""

    index: np.ndarray  # int64 [n]
    label: np.ndarray  # int64 [n]
    probabilities: np.ndarray  # float32 [n, classes]
    extra: dict[str, float]  # the model's own scores, means over all images


@torch.no_grad()
def predict(
    model: Classifier, split: Split, runtime: Runtime, batch_size: int = EVALUATION_BATCH_SIZE
) -> Predictions:
    """Rates every image of a split. Leaves weights, buffers, mode and generators as they were.

    Raises:
        DivergedError: a probability is not finite.
    """
    was_training = model.training
    model.eval()
    rows: list[Tensor] = []
    sums: dict[str, Tensor] = {}
    try:
        for batch in evaluation_batches(split, batch_size, runtime.device):
            with runtime.autocast():
                rows.append(model.probabilities(batch.images))
                for name, value in model.extra_scores(batch.images, batch.labels).items():
                    sums[name] = sums.get(name, torch.zeros_like(value)) + value
    finally:
        model.train(was_training)
    # The results come to the host in one piece, at the end.
    probabilities = torch.cat(rows).float().cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise DivergedError(
            "the model's probabilities are not finite; lower optim.lr or set trainer.precision=fp32"
        )
    return Predictions(
        index=np.arange(len(split), dtype=np.int64),
        label=split.labels.cpu().numpy(),
        probabilities=probabilities,
        extra={name: float(value) / len(split) for name, value in sums.items()},
    )


def validate(model: Classifier, val: Split, runtime: Runtime) -> ValidationScores:
    """Accuracy, macro-F1 and NLL of a split."""
    predictions = predict(model, val, runtime)
    num_classes = predictions.probabilities.shape[1]
    scores = metrics.score(predictions.label, predictions.probabilities, [""] * num_classes)
    return ValidationScores(scores.accuracy, scores.macro_f1, scores.nll)
