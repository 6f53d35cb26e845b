"""Everything that training needs to go on: a copy of it at a step border gives the same bits."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.config.schema import TrainerConfig
from bakeoff.machine.memory import PhasePeaks
from bakeoff.machine.runtime import Runtime, rng_states
from bakeoff.machine.timing import PhaseTimes
from bakeoff.models.base import Classifier
from bakeoff.runs.records import ValidationScores
from bakeoff.training.ema import WeightAverage
from bakeoff.training.guard import StepGuard
from bakeoff.training.scaling import LossScale


@dataclass
class Best:
    """The weights to choose by validation, and what they reached."""

    epoch: int
    scores: ValidationScores
    weights: dict[str, Tensor]


@dataclass
class TrainState:
    """A model in training. Schedules, data order and augmentation are functions of the counters."""

    model: Classifier
    optimizer: Optimizer
    guard: StepGuard
    rng: dict[str, Tensor]  # generators as the next step must find them
    ema: WeightAverage | None = None
    loss_scale: LossScale | None = None  # of fp16
    epoch: int = 1  # the one in progress
    step: int = 0  # optimizer steps done in all
    step_in_epoch: int = 0
    loss_sums: dict[str, Tensor] = field(default_factory=dict)  # by part, over the epoch's images so far
    train_seconds_before_epoch: float = 0.0
    first_epoch_seconds: float = 0.0
    best: Best | None = None
    epochs_without_gain: int = 0
    times: PhaseTimes = field(default_factory=PhaseTimes)
    memory: PhasePeaks = field(default_factory=PhasePeaks)

    @property
    def judged(self) -> Classifier:
        """The model that is validated, chosen and saved: the average where there is one."""
        return self.ema.model if self.ema else self.model


def start(model: Classifier, optimizer: Optimizer, trainer: TrainerConfig, runtime: Runtime) -> TrainState:
    """The state before the first step; the generators are taken as they are now."""
    return TrainState(
        model,
        optimizer,
        StepGuard(model),
        rng_states(runtime.device),
        ema=WeightAverage(model, trainer.ema_decay) if trainer.ema_decay is not None else None,
        loss_scale=LossScale.start(runtime.device) if runtime.precision == "fp16" else None,
    )


def copy_of_weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, detached from the model that goes on training."""
    with torch.no_grad():
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}
