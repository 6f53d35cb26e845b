"""A first step that is skipped, as at fp16's first overflow, leaves no trace: weights, state, later steps."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy import CPU, TASK, Toy, toy_config, toy_split, toy_state

from bakeoff.config.schema import OptimConfig
from bakeoff.models.base import LogitsClassifier
from bakeoff.runs.records import EpochRecord
from bakeoff.training.guard import StepGuard
from bakeoff.training.loop import fit
from bakeoff.training.optim import make_optimizer
from bakeoff.training.scaling import LossScale

NAMES = ("sgd", "adam", "adamw", "rmsprop")
TRAIN = toy_split(40)


@pytest.fixture(autouse=True)
def _memory_as_it_happens_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch leaves unfilled holds large numbers, as it may after other tensors have lain there."""
    monkeypatch.setattr(torch, "empty_like", lambda like, **options: torch.full_like(like, 1e30, **options))


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def groups(model: nn.Module) -> list[dict[str, Any]]:
    return [{"params": list(model.parameters()), "decays": True, "lr_scale": 1.0}]


def a_step(model: nn.Module, guard: StepGuard, optimizer: Any, number: int, scale: Any = None) -> None:
    """Step 0 overflows."""
    images = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    loss = model(images).square().mean()
    loss.backward()
    overflow = torch.tensor(float("inf") if number == 0 else 1.0)
    guard.step(optimizer, loss.detach(), overflow, scale)


def state_of(optimizer: Any) -> dict[str, Tensor]:
    states = optimizer.state_dict()["state"]
    return {f"{number}.{key}": value for number, state in states.items() for key, value in state.items()}


@pytest.mark.parametrize("momentum", [pytest.param(0.0, marks=pytest.mark.slow), 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_a_skipped_first_step_is_as_if_it_had_not_been(name: Any, momentum: float) -> None:
    config = OptimConfig(name=name, momentum=momentum, weight_decay=0.1)
    model = network()
    untouched = copy.deepcopy(model)
    optimizer, other = make_optimizer(groups(model), config), make_optimizer(groups(untouched), config)
    guard, other_guard = StepGuard(Toy()), StepGuard(Toy())
    scales = [LossScale.start(CPU.device) for _ in range(2)]
    before = copy.deepcopy(state_of(optimizer))
    a_step(model, guard, optimizer, 0, scales[0])
    assert guard.skipped.item() == 1
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), untouched.parameters(), strict=True))
    assert before.keys() == state_of(optimizer).keys()
    assert all(torch.equal(value, before[key]) for key, value in state_of(optimizer).items())
    for number in range(1, 4):
        a_step(model, guard, optimizer, number, scales[0])
        a_step(untouched, other_guard, other, number, scales[1])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), untouched.parameters(), strict=True))
    expected = state_of(other)
    assert expected.keys() == state_of(optimizer).keys()
    assert all(torch.equal(value, expected[key]) for key, value in state_of(optimizer).items())
    assert all(p.isfinite().all() and p.abs().max() < 10 for p in model.parameters())


@pytest.mark.parametrize("momentum", [pytest.param(0.0, marks=pytest.mark.slow), 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_the_state_of_the_start_is_what_torch_makes_in_its_first_step(
    name: Any, momentum: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # torch's own way, with its own memory
    config = OptimConfig(name=name, momentum=momentum, weight_decay=0.1)
    model = network()
    plain_model = copy.deepcopy(model)
    optimizer, plain = make_optimizer(groups(model), config), make_optimizer(groups(plain_model), config)
    plain.state.clear()
    begun = {key: (v.shape, v.dtype, v.stride(), v.device) for key, v in state_of(optimizer).items()}
    for _ in range(3):
        for each, its_optimizer in ((model, optimizer), (plain_model, plain)):
            its_optimizer.zero_grad()
            each(torch.ones(2, 1, 4, 4)).square().sum().backward()
            its_optimizer.step()
    made = {key: (v.shape, v.dtype, v.stride(), v.device) for key, v in state_of(plain).items()}
    assert begun == made
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), plain_model.parameters(), strict=True))


class Unfreezing(LogitsClassifier):
    """Its first layer learns from the second epoch on; the first gradients of that epoch overflow."""

    def __init__(self) -> None:
        super().__init__(TASK)
        self.body = nn.Linear(36, 8).requires_grad_(requires_grad=False)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images.flatten(1)).tanh())

    def set_epoch(self, epoch: int) -> None:
        self.body.requires_grad_(epoch > 1)


@pytest.mark.parametrize("name", NAMES)
def test_frozen_weights_have_no_state_until_they_learn_and_then_before_their_first_step(name: Any) -> None:
    config = toy_config(optim__name=name, trainer__epochs=2, trainer__batch_size=10)
    model = Unfreezing()
    state = toy_state(config, model)
    state.loss_scale = LossScale.start(CPU.device)
    body = list(model.body.parameters())
    assert all(p not in state.optimizer.state for p in body)
    before = copy.deepcopy(model.body.state_dict())
    steps = fit(state, TRAIN, None, config, CPU, pause=lambda: state.step == 5)
    assert isinstance(next(steps), EpochRecord)
    assert all(p not in state.optimizer.state for p in body)
    state.loss_scale.scale.fill_(float("inf"))  # so that the next step overflows
    next(steps)
    assert state.guard.skipped.item() == 1
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.body.state_dict().items())
    for parameter in body:
        assert all((value == 0).all() for value in state.optimizer.state[parameter].values())
    state.loss_scale.scale.fill_(2.0)
    list(steps)
    assert not state.guard.tripped()
    assert any(not torch.equal(tensor, before[key]) for key, tensor in model.body.state_dict().items())
    assert all(p.isfinite().all() and p.abs().max() < 10 for p in model.parameters())
