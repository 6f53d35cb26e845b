"""The one loop: `fit` trains any `Classifier`.

It is a generator. It yields an `EpochRecord` after each epoch and a `SavePoint` at a step border
when `pause()` asks for one, with the clock stopped; whoever consumes it logs, saves and stops. In a
step the host reads nothing from the device.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bakeoff.config.schema import Config
from bakeoff.data.batches import Batch
from bakeoff.data.splits import Split
from bakeoff.errors import DivergedError
from bakeoff.evaluation.batch_size import EvaluationBatch
from bakeoff.evaluation.prediction import validate
from bakeoff.machine.runtime import Runtime, restore_rng_states, rng_states
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.training import optim
from bakeoff.training.given import Given, Progress
from bakeoff.training.state import Best, TrainState, copy_of_weights

Losses = Callable[[Batch], dict[str, Tensor]]

# The host looks at the guard this often; the steps after a bad one are lost time, not lost weights.
_STEPS_BETWEEN_CHECKS = 50


@dataclass(frozen=True)
class SavePoint:
    """A step border: the state is whole and nothing runs."""

    state: TrainState


def fit(
    state: TrainState,
    train: Split,
    val: Split | None,
    config: Config,
    runtime: Runtime,
    pause: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
    eval_batch: EvaluationBatch | None = None,
    rated: Callable[[int], None] = lambda _: None,
) -> Iterator[EpochRecord | SavePoint]:
    """Trains from where `state` stands to the last epoch.

    After each `yield` the generators go on from where they stood, whatever the consumer has drawn.

    Args:
        state: changed in place.
        train: the training images.
        val: judged after each epoch; None to train without. Training does not depend on it.
        config: `seed`, `data.augment`, `optim` and `trainer` are read.
        runtime: device and precision.
        pause: asked after each step whether a `SavePoint` is due.
        progress: told of each step.
        eval_batch: how many validation images are rated at once; None: by `trainer.eval_batch_size`.
        rated: told, in each validation, of the number of images so far.

    Raises:
        DivergedError: a loss or gradient was not finite; the model holds its last good weights.
    """
    eval_batch = eval_batch or EvaluationBatch(config.trainer.eval_batch_size)
    training = Given(train, val, config, runtime, pause, progress, eval_batch, rated)
    losses = torch.compile(state.model.losses) if config.trainer.compile else state.model.losses
    training.budget.look(state)
    if state.step and not training.budget.is_over(state):
        with _phase(state, "setup", runtime), runtime.autocast():
            state.model.train()
            state.model.recall(training.parts_of_first_epoch(state))
    restore_rng_states(state.rng, runtime.device)
    # What was stopped between the last step and its validation has that left to do.
    while state.step_in_epoch or not training.budget.is_over(state):
        state.model.set_epoch(state.epoch)
        optim.begin_state(state.optimizer)  # of what has just been unfrozen
        state.model.train()
        with state.times.phase("train", runtime.synchronize):
            batches = training.batches(state)
        while not training.epoch_is_over(state):
            with _phase(state, "train", runtime):
                paused = _train_until_pause(state, training, losses, batches)
            if paused:
                state.rng = rng_states(runtime.device)
                yield SavePoint(state)
                # Whoever consumes this may draw random numbers of its own.
                restore_rng_states(state.rng, runtime.device)
        yield _end_epoch(state, training)
        training.budget.look(state)
        restore_rng_states(state.rng, runtime.device)


@contextmanager
def _phase(state: TrainState, name: str, runtime: Runtime) -> Iterator[None]:
    """Time and memory of a phase; the clock does not count the look at memory."""
    with state.memory.phase(name, runtime.device), state.times.phase(name, runtime.synchronize):
        yield


def _train_until_pause(state: TrainState, training: Given, losses: Losses, batches: Iterator[Batch]) -> bool:
    """Steps until a pause is wanted (True) or the epoch is over (False)."""
    for batch in batches:
        lr = training.learning_rate(state, state.step)
        optim.set_learning_rate(state.optimizer, lr)
        loss = train_step(state, batch, training.config, training.runtime, losses)
        state.step += 1
        state.step_in_epoch += 1
        if training.progress:
            training.progress(state, len(batch.labels), loss)
        training.budget.stepped(state)
        last = training.epoch_is_over(state)
        paused = training.pause()
        # The host waits for the device here, and only here (and for the plan of a budget). A state that has
        # tripped is never saved.
        if (last or paused or state.step % _STEPS_BETWEEN_CHECKS == 0) and state.guard.tripped():
            _diverged(state, lr, training.config.optim.lr)
        if paused:
            return True
        if last:
            break
    return False


def train_step(
    state: TrainState, batch: Batch, config: Config, runtime: Runtime, losses: Losses | None = None
) -> Float[Tensor, ""]:
    """Losses, sum, backward, clip, step, average. Returns the loss, a scalar on the device.

    With `trainer.accumulate` the batch goes through in parts, each weighted by its share of the
    images, so that the gradient is the whole batch's but for rounding (batch norm sees the parts).
    `losses` stands in for the model's own method where that has been compiled.
    """
    losses = losses or state.model.losses
    loss = torch.zeros((), device=runtime.device)
    for part in batch.parts(config.trainer.accumulate):
        with runtime.autocast():
            terms = losses(part)
            share = torch.stack(list(terms.values())).sum() * (len(part.labels) / len(batch.labels))
        (share * state.loss_scale.scale if state.loss_scale else share).backward()
        loss += share.detach()
        for name, term in terms.items():
            weighted = term.detach() * len(part.labels)
            state.loss_sums[name] = state.loss_sums[name] + weighted if name in state.loss_sums else weighted
    parameters = [p for p in state.model.parameters() if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None]
    if state.loss_scale:
        state.loss_scale.unscale(gradients)
    norm = get_total_norm(gradients)
    if config.optim.clip_norm is not None:
        clip_grads_with_norm_(parameters, config.optim.clip_norm, norm)
    state.guard.step(state.optimizer, loss, norm, state.loss_scale)
    if state.ema:
        state.ema.update(state.model, state.step + 1, state.guard.skipped)
    state.optimizer.zero_grad(set_to_none=True)
    return loss


def _diverged(state: TrainState, lr: float, highest_lr: float) -> None:
    state.guard.restore_buffers()
    state.optimizer.zero_grad(set_to_none=True)
    good = int(state.guard.good_steps.item())
    state.step = good
    raise DivergedError(
        f"optim.lr={highest_lr:g}: the loss, a gradient or a running statistic is not finite in step "
        f"{good + 1}, epoch {state.epoch}, where the schedule is at {lr:.3g}; lower optim.lr, "
        "set optim.clip_norm or trainer.precision=fp32"
    )


def _end_epoch(state: TrainState, training: Given) -> EpochRecord:
    """Judges the weights, keeps the best, and moves the counters to the next epoch."""
    runtime, num_images = training.runtime, training.num_images(state)
    seconds = state.times["train"] - state.train_seconds_before_epoch
    evaluated_before = state.times["eval"]
    scores = None
    # A validation that is stopped leaves a state from which it can begin again.
    state.rng = rng_states(runtime.device)
    if training.val is not None:
        with _phase(state, "eval", runtime):
            lr = training.config.optim.lr
            scores = validate(state.judged, training.val, runtime, training.eval_batch, training.rated, lr)
            _keep_best(state, scores, training.config.trainer.select == "best")
    # Read once an epoch: the device is idle already.
    parts = {name: float(sums) / num_images for name, sums in state.loss_sums.items()}
    record = EpochRecord(
        epoch=state.epoch,
        step=state.step,
        lr=training.learning_rate(state, state.step - 1),
        train_loss=sum(parts.values()),
        train_loss_parts=parts,
        val=scores,
        train_seconds=seconds,
        eval_seconds=state.times["eval"] - evaluated_before,
        train_images_per_second=num_images / seconds,
    )
    state.epochs.append(record)
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
    state.best = Best(state.epoch, scores, copy_of_weights(state.judged) if keep_weights else {})
