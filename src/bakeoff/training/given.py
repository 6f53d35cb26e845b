"""What `fit` is given, and what follows from it: batches, schedule, where an epoch and a training end."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from bakeoff.config.schema import Config
from bakeoff.data.batches import Batch, num_batches, plan_epoch, training_batches
from bakeoff.data.splits import Split
from bakeoff.evaluation.batch_size import EvaluationBatch
from bakeoff.machine.runtime import Runtime
from bakeoff.training import optim
from bakeoff.training.budget import Budget, schedule_step
from bakeoff.training.state import TrainState


@runtime_checkable
class Progress(Protocol):
    """Told of every step; must not read the loss more than now and then, and draw no random number."""

    def __call__(self, state: TrainState, num_images: int, loss: Float[Tensor, ""]) -> None:
        """`loss` is a scalar on the device: reading it makes the host wait."""


@dataclass(frozen=True)
class Given:
    """What `fit` was given, which does not change while it trains, and what follows from it."""

    train: Split
    val: Split | None
    config: Config
    runtime: Runtime
    pause: Callable[[], bool]
    progress: Progress | None
    eval_batch: EvaluationBatch
    rated: Callable[[int], None]

    @cached_property
    def steps_per_epoch(self) -> int:
        """Kept, since it is asked in every step and counted by listing an epoch's batches."""
        return num_batches(len(self.train), self.config.trainer.batch_size)

    @cached_property
    def budget(self) -> Budget:
        """It ends the training, in mid-epoch too."""
        trainer = self.config.trainer
        return Budget(trainer.max_seconds, trainer.epochs * self.steps_per_epoch, self.runtime.synchronize)

    def epoch_is_over(self, state: TrainState) -> bool:
        """Whether its validation is next; the last epoch may have fewer steps."""
        return state.step_in_epoch == self.steps_per_epoch or self.budget.is_over(state)

    def num_images(self, state: TrainState) -> int:
        """That the epoch in progress has gone through."""
        if state.step_in_epoch == self.steps_per_epoch:
            return len(self.train)
        return state.step_in_epoch * self.config.trainer.batch_size

    def batches(self, state: TrainState) -> Iterator[Batch]:
        """What is left of the epoch in progress."""
        augment, device = self.config.data.augment, self.runtime.device
        plan = plan_epoch(self.train, augment, self.config.seed, state.epoch, device)
        size = self.config.trainer.batch_size
        return training_batches(self.train, plan, size, augment, device, state.step_in_epoch)

    def parts_of_first_epoch(self, state: TrainState) -> Iterator[Batch]:
        """What the model was taught of the first epoch so far, as it was."""
        augment, device = self.config.data.augment, self.runtime.device
        plan = plan_epoch(self.train, augment, self.config.seed, 1, device)
        size = self.config.trainer.batch_size
        batches = training_batches(self.train, plan, size, augment, device)
        for batch in itertools.islice(batches, state.step if state.epoch == 1 else None):
            yield from batch.parts(self.config.trainer.accumulate)

    def learning_rate(self, state: TrainState, step: int) -> float:
        """Of a step, counted from 0."""
        config, per_epoch, epochs = self.config.optim, self.steps_per_epoch, self.config.trainer.epochs
        in_epochs = optim.warmup_steps(config, per_epoch, epochs) if config.warmup is None else 0
        planned = (state.planned_at_step, state.planned_steps)
        place = schedule_step(step, *planned, per_epoch * epochs, in_epochs)
        return optim.learning_rate(place, config, per_epoch, epochs, step)
