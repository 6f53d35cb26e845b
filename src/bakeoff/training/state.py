"""Everything that training needs to go on: a copy of it at a step border gives the same bits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.config.schema import TrainerConfig
from bakeoff.errors import ResumeError
from bakeoff.machine.memory import PhasePeaks
from bakeoff.machine.runtime import Runtime, rng_states
from bakeoff.machine.timing import PhaseTimes
from bakeoff.models.base import Classifier
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.training.ema import WeightAverage
from bakeoff.training.guard import StepGuard
from bakeoff.training.optim import begin_state, state_tensors
from bakeoff.training.restoring import check_kinds, check_pieces, copy_into
from bakeoff.training.scaling import LossScale

Tensors = Mapping[str, Tensor]
# Plain values of a `TrainState` as they are stored.
_COUNTERS = (
    "epoch", "step", "step_in_epoch", "train_seconds_before_epoch", "first_epoch_seconds",
    "epochs_without_gain", "total_seconds", "eval_batch_size", "planned_steps", "planned_at_step",
    "out_of_time_at_step",
)  # fmt: skip


@dataclass
class Best:
    """The weights to choose by validation, and what they reached."""

    epoch: int
    scores: ValidationScores
    weights: dict[str, Tensor]  # empty where the last weights are chosen


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
    total_seconds: float = 0.0  # of all parts of the run, as of the last save
    eval_batch_size: int | None = None  # images that are rated at once; None before the first validation
    # Of `trainer.max_seconds` (see `budget.py`); None without it, and before it happens.
    planned_steps: int | None = None  # optimizer steps in all that fit, as predicted
    planned_at_step: int | None = None  # the step after which they were predicted
    out_of_time_at_step: int | None = None  # the step in which the seconds were over
    epochs: list[EpochRecord] = field(default_factory=list)  # those that are done
    times: PhaseTimes = field(default_factory=PhaseTimes)
    memory: PhasePeaks = field(default_factory=PhasePeaks)

    @property
    def judged(self) -> Classifier:
        """The model that is validated, chosen and saved: the average where there is one."""
        return self.ema.model if self.ema else self.model

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors and plain values; the tensors are those in use, so copy or write them at once.

        Returns:
            Tensors by name in `model`, `optimizer` (with what else belongs to a step), with an average
            `average`, once something is kept `best`; in `plain` what JSON can hold.
        """
        rest = {
            "optimizer": state_tensors(self.optimizer),
            "guard": self.guard.state_dict(),
            "loss_scale": self.loss_scale.state_dict() if self.loss_scale else {},
            "rng": self.rng,
            "loss_sums": self.loss_sums,
        }
        best = self.best
        parts: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": {
                f"{piece}.{name}": tensor for piece, own in rest.items() for name, tensor in own.items()
            },
            "plain": {
                **{name: getattr(self, name) for name in _COUNTERS},
                "loss_parts": list(self.loss_sums),
                "best": _plain_best(best) if best else None,
                "epochs": [asdict(record) for record in self.epochs],
                "phase_seconds": dict(self.times.seconds),
                "phase_peak_bytes": dict(self.memory.phases),
                "highest_bytes": self.memory.highest,
            },
        }
        if self.ema:
            parts["average"] = self.ema.model.state_dict()
        if best and best.weights:
            parts["best"] = best.weights
        return parts

    def load_state_dict(self, parts: Mapping[str, Any]) -> None:
        """Becomes what `state_dict` gave, of a state that was started from the same config.

        Raises:
            ResumeError: a piece is missing, unknown or of another kind. The state is of no use then.
        """
        plain = _plain_pieces(parts)
        self._load_plain(plain)
        copy_into(self.model.state_dict(), _part(parts, "model"), "the model")
        if self.ema:
            copy_into(self.ema.model.state_dict(), _part(parts, "average"), "the average")
        # May unfreeze parameters, whose state is stored then. Between two epochs the next has not begun.
        self.model.set_epoch(self.epoch if self.step_in_epoch else max(1, self.epoch - 1))
        begin_state(self.optimizer)
        rest: dict[str, dict[str, Tensor]] = {}
        for name, tensor in _part(parts, "optimizer").items():
            piece, _, own = name.partition(".")
            rest.setdefault(piece, {})[own] = tensor
        copy_into(state_tensors(self.optimizer), rest.get("optimizer", {}), "the optimizer")
        self.guard.load_state_dict(rest.get("guard", {}))
        if self.loss_scale:
            self.loss_scale.load_state_dict(rest.get("loss_scale", {}))
        check_pieces(self.rng, rest.get("rng", {}), "the random numbers")
        self.rng = {name: tensor.clone() for name, tensor in rest["rng"].items()}
        device = self.guard.good_steps.device
        sums = rest.get("loss_sums", {})
        check_pieces(dict.fromkeys(plain["loss_parts"]), sums, "the sums of the losses")
        # In their first order, which a file of tensors does not keep: the loss is their sum, to the bit.
        self.loss_sums = {name: sums[name].to(device, copy=True) for name in plain["loss_parts"]}
        self.best = self._best(plain["best"], parts)

    def _load_plain(self, plain: Mapping[str, Any]) -> None:
        for name in _COUNTERS:
            setattr(self, name, plain[name])
        self.epochs = [epoch_record(values) for values in plain["epochs"]]
        self.times.seconds = dict(plain["phase_seconds"])
        self.memory.phases = dict(plain["phase_peak_bytes"])
        self.memory.highest = plain["highest_bytes"]

    def _best(self, plain: Mapping[str, Any] | None, parts: Mapping[str, Any]) -> Best | None:
        if plain is None:
            return None
        weights = {}
        if plain["has_weights"]:
            own, stored = self.judged.state_dict(), _part(parts, "best")
            check_pieces(own, stored, "the best weights")
            weights = {name: stored[name].to(tensor.device, copy=True) for name, tensor in own.items()}
        return Best(plain["epoch"], ValidationScores(**plain["scores"]), weights)


@dataclass
class _PlainBest:
    epoch: int
    scores: ValidationScores
    has_weights: bool


# Of the plain values that are not counters.
_KINDS = {
    "loss_parts": list[str],
    "best": _PlainBest | None,
    "epochs": list[EpochRecord],
    "phase_seconds": dict[str, float],
    "phase_peak_bytes": dict[str, int],
    "highest_bytes": int,
}


def _plain_best(best: Best) -> dict[str, Any]:
    return {"epoch": best.epoch, "scores": asdict(best.scores), "has_weights": bool(best.weights)}


def epoch_record(values: Mapping[str, Any]) -> EpochRecord:
    """An `EpochRecord` from the plain values that it was stored as."""
    scores = values["val"]
    own = {each.name: values[each.name] for each in fields(EpochRecord)}
    return EpochRecord(**{**own, "val": ValidationScores(**scores) if scores else None})


def _part(parts: Mapping[str, Any], name: str) -> Any:
    if name not in parts:
        raise ResumeError(f"the checkpoint has no {name}")
    return parts[name]


def _plain_pieces(parts: Mapping[str, Any]) -> Mapping[str, Any]:
    plain = _part(parts, "plain")
    missing = [name for name in (*_COUNTERS, *_KINDS) if name not in plain]
    if missing:
        raise ResumeError(f"the checkpoint has no {', '.join(missing)}")
    counters = get_type_hints(TrainState)
    check_kinds({name: counters[name] for name in _COUNTERS} | _KINDS, plain)
    return plain


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
