"""Schedules against torch's own, optimizers against their plain forms, the guard."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from bakeoff.config import OptimConfig
from bakeoff.guard import StepGuard
from bakeoff.optim import learning_rate, make_optimizer, set_learning_rate

STEPS, EPOCHS = 10, 6


def rates(**changes: Any) -> list[float]:
    config = OptimConfig(lr=0.5, **changes)
    return [learning_rate(step, config, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


def torchs(make: Any, steps: int = STEPS * EPOCHS) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler: LRScheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_one_cycle_is_torchs() -> None:
    expected = torchs(
        lambda o: OneCycleLR(o, max_lr=0.5, total_steps=61, pct_start=12 / 61, cycle_momentum=False), 60
    )
    # torch counts a phase up to total_steps * pct_start - 1, so 12 warm-up steps of 61 end at step 11.
    ours = [learning_rate(step, OptimConfig(lr=0.5, warmup_epochs=1.2), 10, 6) for step in range(60)]
    assert ours[:12] == pytest.approx(expected[:12], rel=1e-6)
    expected = torchs(
        lambda o: OneCycleLR(o, max_lr=0.5, total_steps=60, pct_start=0.2, cycle_momentum=False), 59
    )
    assert ours[:59] == pytest.approx(expected, rel=1e-6)
    assert max(ours) == ours[11] == 0.5
    assert ours[0] == pytest.approx(0.5 / 25)
    assert ours[59] == pytest.approx(0.5 / 25e4)


def test_cosine_goes_from_the_peak_to_zero() -> None:
    ours = rates(schedule="cosine", warmup_epochs=0)
    expected = torchs(lambda o: CosineAnnealingLR(o, T_max=59))
    assert ours == pytest.approx(expected, abs=1e-9)
    assert ours[-1] == pytest.approx(0, abs=1e-12)


def test_step_is_torchs() -> None:
    expected = torchs(lambda o: StepLR(o, step_size=20, gamma=0.3))
    assert rates(schedule="step", warmup_epochs=0, step_epochs=2, step_factor=0.3) == pytest.approx(expected)
    assert rates(schedule="step", warmup_epochs=0, step_factor=0.3) == pytest.approx(expected)  # a third each


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
def test_warm_up_is_a_line_to_the_peak(schedule: str) -> None:
    ours = rates(schedule=schedule, warmup_epochs=1.5)
    assert ours[0] == pytest.approx(0.5 * 0.01)
    differences = [after - before for before, after in itertools.pairwise(ours[:16])]
    assert differences == pytest.approx([0.5 * 0.99 / 15] * 15)
    assert max(ours) == ours[15] == 0.5


def test_constant_stays() -> None:
    assert set(rates(schedule="constant", warmup_epochs=0)) == {0.5}


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "step"])
@pytest.mark.parametrize(("warmup", "steps", "epochs"), [(0, 1, 1), (1, 1, 1), (0.5, 3, 2), (2, 3, 2)])
def test_short_runs_have_finite_rates(schedule: Any, warmup: float, steps: int, epochs: int) -> None:
    config = OptimConfig(lr=0.5, schedule=schedule, warmup_epochs=warmup)
    found = [learning_rate(step, config, steps, epochs) for step in range(steps * epochs)]
    assert all(math.isfinite(rate) and 0 <= rate <= 0.5 for rate in found)


def groups(model: nn.Module) -> list[dict[str, Any]]:
    return [{"params": list(model.parameters()), "decays": True, "lr_scale": 1.0}]


def test_a_groups_scale_multiplies_the_schedule() -> None:
    model = nn.Linear(2, 1)
    scaled = [
        {"params": [model.weight], "decays": True, "lr_scale": 0.1},
        {"params": [model.bias], "decays": False, "lr_scale": 1.0},
        {"params": [], "decays": False, "lr_scale": 1.0},
    ]
    optimizer = make_optimizer(scaled, OptimConfig(weight_decay=0.3))
    set_learning_rate(optimizer, 2.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 2.0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_steps_are_those_of_torchs_plain_optimizer(name: Any) -> None:
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    plain_model = copy.deepcopy(model)
    optimizer = make_optimizer(groups(model), OptimConfig(name=name, momentum=0.7, weight_decay=0.1))
    options: dict[str, Any] = {"lr": 1e-3, "weight_decay": 0.1, "foreach": False, "fused": False}
    plain = {
        "sgd": lambda p: torch.optim.SGD(p, momentum=0.7, **options),
        "adam": lambda p: torch.optim.Adam(p, betas=(0.7, 0.999), **options),
        "adamw": lambda p: torch.optim.AdamW(p, betas=(0.7, 0.999), **options),
    }[name](plain_model.parameters())
    guard = StepGuard(model)
    for _ in range(5):
        inputs = torch.randn(4, 5)
        for network in (model, plain_model):
            network.zero_grad()
            network(inputs).square().mean().backward()
        guard.step(optimizer, torch.tensor(1.0), torch.tensor(1.0))
        plain.step()
    for ours, theirs in zip(model.parameters(), plain_model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("bad", ["loss", "norm", "buffer"])
def test_a_bad_step_and_all_after_it_change_nothing(name: Any, bad: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))
    optimizer = make_optimizer(groups(model), OptimConfig(name=name))
    guard = StepGuard(model)
    kept: dict[str, Any] = {}
    for number in range(6):
        model.zero_grad()
        inputs = torch.randn(4, 5) * (1e30 if bad == "buffer" and number == 3 else 1)
        model(inputs).square().mean().backward()
        nan = torch.tensor(float("nan")) if number == 3 else torch.tensor(1.0)
        good = torch.tensor(1.0)
        guard.step(optimizer, nan if bad == "loss" else good, nan if bad == "norm" else good)
        if number == 2:
            kept = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()["state"]})
            assert not guard.tripped()
    assert guard.tripped()
    assert guard.good_steps.item() == 3
    guard.restore_buffers()
    for tensor_name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept["model"][tensor_name]), tensor_name
    for number, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            assert torch.equal(value, kept["optimizer"][number][key]), key
