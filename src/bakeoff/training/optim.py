"""Optimizers and learning-rate schedules.

A schedule is a pure function of the step, so there is no scheduler state to save or to lose.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from bakeoff.config.schema import OptimConfig
from bakeoff.machine.eager import eager_optimizer

# torch.optim.lr_scheduler.OneCycleLR's defaults: start at lr/25, end at lr/25/1e4 (Smith and Topin
# 2017). Deviation from the paper: the momentum is held, so that `optim.momentum` means what it says.
_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = 1 / 25 / 1e4
# A linear warm-up begins at a hundredth of its target, not at 0, so that the first step counts.
_WARMUP_START = 0.01
_ADAM_BETA2 = 0.999
_RMSPROP_ALPHA = 0.99  # torch's; Hinton's lecture 6e has 0.9
_KINDS = {
    name: eager_optimizer(kind)
    for name, kind in {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}.items()
}


def make_optimizer(groups: Sequence[dict[str, Any]], config: OptimConfig) -> Optimizer:
    """Makes an optimizer, a fused one where torch has it: that skips a step by itself (see `guard.py`).

    It has its state from the start (`begin_state`).

    Args:
        groups: parameter groups with `params`, `decays` (whether weight decay applies) and
            `lr_scale` (relative to the schedule).
        config: `momentum` is Adam's and AdamW's beta1.
    """
    prepared = [
        {
            "params": group["params"],
            "lr_scale": group["lr_scale"],
            "weight_decay": config.weight_decay if group["decays"] else 0.0,
        }
        for group in groups
        if group["params"]
    ]
    optimizer: Optimizer
    kind = _KINDS[config.name]
    if config.name == "sgd":
        optimizer = kind(prepared, lr=config.lr, momentum=config.momentum, fused=True)
    elif config.name == "rmsprop":
        optimizer = kind(prepared, lr=config.lr, alpha=_RMSPROP_ALPHA, momentum=config.momentum)
    else:
        optimizer = kind(prepared, lr=config.lr, betas=(config.momentum, _ADAM_BETA2), fused=True)
    begin_state(optimizer)
    return optimizer


@torch.no_grad()
def begin_state(optimizer: Optimizer) -> None:
    """Gives every parameter that learns, and has none yet, the state that torch would make in its first step.

    Torch makes it while it steps, SGD's momentum from memory as it happens to be (`empty_like`). A fused
    step that is skipped, as at the first overflow of fp16, fills in nothing, and the next step would add
    up whatever was there. Frozen parameters get theirs when they are unfrozen: call this after
    `Classifier.set_epoch`.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.requires_grad and parameter not in optimizer.state:
                optimizer.state[parameter] = _first_state(optimizer, group, parameter)


def state_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The tensors of each parameter's state, as `12.exp_avg`: parameters are counted through the groups."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {
        f"{number}.{key}": value
        for number, parameter in enumerate(parameters)
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _first_state(optimizer: Optimizer, group: dict[str, Any], parameter: Tensor) -> dict[str, Tensor]:
    """Zeros: a first step from them is torch's own first step, to the bit."""
    if isinstance(optimizer, SGD):
        names = ["momentum_buffer"] if group["momentum"] else []
        return {name: torch.zeros_like(parameter) for name in names}
    # Fused optimizers count their steps where the weights are, RMSprop on the host.
    device = parameter.device if group.get("fused") else "cpu"
    state = {"step": torch.zeros((), dtype=torch.float32, device=device)}
    if isinstance(optimizer, RMSprop):
        names = ["square_avg"] + (["momentum_buffer"] if group["momentum"] else [])
    else:
        names = ["exp_avg", "exp_avg_sq"]
    return state | {name: torch.zeros_like(parameter) for name in names}


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Sets the rate of the schedule, times each group's own scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def learning_rate(
    step: float, config: OptimConfig, steps_per_epoch: int, epochs: int, steps_done: int | None = None
) -> float:
    """The learning rate of an optimizer step, counted from 0.

    A run with a plan (`budget.py`) passes through its schedule faster: `step` may lie between two steps then,
    and `steps_done` is the number of the step itself, since `step_epochs` are epochs of the run.

    Warm-up (`warmup_steps`) is a straight line from lr/100 (one_cycle: a cosine from lr/25) to lr. After
    it: constant; cosine, which reaches 0 after the last step, so that no step is wasted on a rate of 0
    (Loshchilov and Hutter 2017, without restarts); one_cycle, a cosine to lr/250,000 at the last step;
    step, times `step_factor` every `step_epochs` (counted from the first step, warm-up included).
    """
    total = steps_per_epoch * epochs
    warmup = warmup_steps(config, steps_per_epoch, epochs)
    if step < warmup:
        if config.schedule == "one_cycle":
            done = min(1.0, step / (warmup - 1)) if warmup > 1 else 1.0
            return config.lr * _cosine(_ONE_CYCLE_START, 1.0, done)
        return config.lr * (_WARMUP_START + (1 - _WARMUP_START) * step / warmup)
    if config.schedule == "step":
        every = max(1, round((config.step_epochs or epochs / 3) * steps_per_epoch))
        if config.step_epochs is not None and steps_done is not None:
            step = steps_done
        return config.lr * config.step_factor ** (step // every)
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "cosine":
        return config.lr * _cosine(1.0, 0.0, (step - warmup) / (total - warmup))
    # The peak is the last step of a one_cycle's warm-up; without one it is the first step.
    peak = max(0, warmup - 1)
    return config.lr * _cosine(1.0, _ONE_CYCLE_END, (step - peak) / max(1, total - 1 - peak))


def warmup_steps(config: OptimConfig, steps_per_epoch: int, epochs: int) -> int:
    """Steps of the warm-up: `warmup` of the run, or else `warmup_epochs`."""
    if config.warmup is not None:
        return round(config.warmup * steps_per_epoch * epochs)
    return round((config.warmup_epochs or 0.0) * steps_per_epoch)


def _cosine(start: float, end: float, done: float) -> float:
    """From start to end on half a cosine, `done` in 0..1."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
