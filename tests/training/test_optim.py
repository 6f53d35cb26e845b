"""Schedules against torch's own, optimizers against their plain forms, the guard."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from bakeoff.config.schema import OptimConfig
from bakeoff.models.base import LogitsClassifier, TaskSpec
from bakeoff.training.guard import StepGuard
from bakeoff.training.optim import learning_rate, make_optimizer, set_learning_rate

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


def test_cosine_is_torchs_and_reaches_zero_after_the_last_step() -> None:
    """With 59 in place of 60 the last step would be taken at a rate of 0, for nothing."""
    ours = rates(schedule="cosine", warmup_epochs=0)
    expected = torchs(lambda o: CosineAnnealingLR(o, T_max=60))
    assert ours == pytest.approx(expected, abs=1e-9)
    assert ours[-1] == pytest.approx(0.25 * (1 - math.cos(math.pi / 60)))


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
    assert all(math.isfinite(rate) and 0 < rate <= 0.5 for rate in found)


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


@pytest.mark.parametrize(
    ("steps", "epochs", "warmup"),
    [(10, 6, 1), (10, 6, 1.2), (10, 6, 0.35), (7, 3, 0.5), (422, 2, 1), (5, 4, 4), (3, 2, 1.5), (2, 1, 1)],
)
def test_one_cycle_is_torchs_for_any_length(steps: int, epochs: int, warmup: float) -> None:
    total, rising = steps * epochs, round(warmup * steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = OneCycleLR(
        optimizer, max_lr=0.5, total_steps=total, pct_start=rising / total, anneal_strategy="cos",
        div_factor=25, final_div_factor=1e4, cycle_momentum=False,
    )  # fmt: skip
    config = OptimConfig(lr=0.5, schedule="one_cycle", warmup_epochs=warmup)
    for step in range(total):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(step, config, steps, epochs) == pytest.approx(expected, rel=1e-6), step
        if step < total - 1:
            optimizer.step()
            scheduler.step()


def test_one_cycle_without_warm_up_only_falls() -> None:
    ours = rates(schedule="one_cycle", warmup_epochs=0)
    lowest = 0.5 / 25 / 1e4
    expected = [lowest + (0.5 - lowest) * (1 + math.cos(math.pi * step / 59)) / 2 for step in range(60)]
    assert ours == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("warmup", [0, 0.25, 1, 1.5, 5])
def test_cosine_after_its_warm_up_in_closed_form(warmup: float) -> None:
    first = round(warmup * STEPS)
    ours = rates(schedule="cosine", warmup_epochs=warmup)
    total = STEPS * EPOCHS
    expected = [
        0.25 * (1 + math.cos(math.pi * (step - first) / (total - first))) for step in range(first, total)
    ]
    assert ours[first:] == pytest.approx(expected, abs=1e-12)
    assert ours[first] == 0.5
    assert ours[-1] > 0  # 0 is what a step after the last would have


@pytest.mark.parametrize(("warmup", "first"), [(0, 0), (0.05, 0), (0.1, 1), (0.25, 2), (0.35, 4), (1.26, 13)])
def test_a_part_of_an_epoch_is_rounded_to_steps(warmup: float, first: int) -> None:
    ours = rates(schedule="constant", warmup_epochs=warmup)
    assert [rate < 0.5 for rate in ours] == [True] * first + [False] * (60 - first)


def test_steps_are_counted_from_the_first_step_warm_up_included() -> None:
    ours = rates(schedule="step", warmup_epochs=1.5, step_epochs=2, step_factor=0.1)
    assert ours[15:] == pytest.approx([0.5] * 5 + [0.05] * 20 + [0.005] * 20)


@pytest.mark.parametrize(("steps", "epochs"), [(10, 6), (7, 9), (422, 3), (27, 7), (51, 7), (3, 1)])
def test_a_third_of_the_epochs_is_torchs_step_size(steps: int, epochs: int) -> None:
    expected = torchs(lambda o: StepLR(o, step_size=steps * epochs // 3, gamma=0.1), steps * epochs)
    config = OptimConfig(lr=0.5, schedule="step", warmup_epochs=0)
    ours = [learning_rate(step, config, steps, epochs) for step in range(steps * epochs)]
    late = [step for step, rate in enumerate(ours) if rate != pytest.approx(expected[step])]
    assert late == []


@pytest.mark.parametrize(("steps", "step_epochs", "size"), [(10, 0.5, 5), (50, 1.1, 55), (25, 2.2, 55)])
def test_a_part_of_an_epoch_is_torchs_step_size(steps: int, step_epochs: float, size: int) -> None:
    expected = torchs(lambda o: StepLR(o, step_size=size, gamma=0.1), 3 * size)
    config = OptimConfig(lr=0.5, schedule="step", warmup_epochs=0, step_epochs=step_epochs)
    ours = [learning_rate(step, config, steps, 10) for step in range(3 * size)]
    late = [step for step, rate in enumerate(ours) if rate != pytest.approx(expected[step])]
    assert late == []


class Mixed(LogitsClassifier):
    """Convolution, norms of both kinds, linear."""

    def __init__(self) -> None:
        super().__init__(TaskSpec(1, 4, 4, ("a", "b"), mean=(0.5,), std=(0.5,)))
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(32, 2)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_all_parameters_are_optimised_once_and_only_matrices_decay() -> None:
    model = Mixed()
    optimizer = make_optimizer(model.parameter_groups(), OptimConfig(weight_decay=0.3))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(decay)
    assert {name: decay[id(parameter)] for name, parameter in model.named_parameters()} == {
        "layers.0.weight": 0.3, "layers.0.bias": 0.0, "layers.1.weight": 0.0, "layers.1.bias": 0.0,
        "layers.2.weight": 0.0, "layers.2.bias": 0.0, "layers.4.weight": 0.3, "layers.4.bias": 0.0,
    }  # fmt: skip


def test_a_step_without_gradient_shrinks_matrices_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = Mixed()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = make_optimizer(model.parameter_groups(), OptimConfig(name="adamw", weight_decay=0.5))
    set_learning_rate(optimizer, 0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    StepGuard(model).step(optimizer, torch.tensor(1.0), torch.tensor(0.0))
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_settings_reach_the_optimizer(name: Any) -> None:
    config = OptimConfig(name=name, lr=0.25, momentum=0.7, weight_decay=0.125)
    optimizer = make_optimizer(groups(nn.Linear(2, 1)), config)
    (group,) = optimizer.param_groups
    assert type(optimizer).__name__.lower() == name
    assert (group["lr"], group["weight_decay"], group["fused"]) == (0.25, 0.125, True)
    if name == "sgd":
        assert (group["momentum"], group["dampening"], group["nesterov"]) == (0.7, 0, False)
    else:
        assert (group["betas"], group["eps"], group["amsgrad"]) == ((0.7, 0.999), 1e-8, False)


def copied(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()["state"]})


def assert_unchanged(before: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    now = {"model": model.state_dict(), "optimizer": optimizer.state_dict()["state"]}
    assert now["model"].keys() == before["model"].keys()
    for name, tensor in now["model"].items():
        assert torch.equal(tensor, before["model"][name]), name
    assert now["optimizer"].keys() == before["optimizer"].keys()
    for number, state in now["optimizer"].items():
        for key, value in state.items():
            assert torch.equal(value, before["optimizer"][number][key]), (number, key)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_fused_optimizer_told_of_inf_changes_neither_weights_nor_state(name: Any) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = make_optimizer(groups(model), OptimConfig(name=name, momentum=0.9))
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    before = copied(model, optimizer)
    optimizer.found_inf, optimizer.grad_scale = torch.tensor(1.0), None
    optimizer.step()
    assert_unchanged(before, model, optimizer)
    optimizer.found_inf = torch.tensor(0.0)
    optimizer.step()
    assert not torch.equal(model.weight, before["model"]["weight"])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("bad_step", [0, 1, 4])
def test_a_real_nan_freezes_the_last_good_step(name: Any, value: float, bad_step: int) -> None:
    """The input is bad, so loss, gradients and running statistics all are; the steps after it are good."""
    torch.manual_seed(0)
    model = Mixed()
    optimizer = make_optimizer(model.parameter_groups(), OptimConfig(name=name, lr=0.1))
    guard = StepGuard(model)
    before = copied(model, optimizer)
    for number in range(6):
        optimizer.zero_grad(set_to_none=True)
        images = torch.randn(4, 1, 4, 4)
        if number == bad_step:
            before = copied(model, optimizer)
            images[2, 0, 1, 1] = value
        loss = model(images).square().mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        assert bool(torch.isfinite(loss) & torch.isfinite(norm)) == (number < bad_step or number > bad_step)
        guard.step(optimizer, loss.detach(), norm)
        if number == bad_step:
            # Buffers that are finite again: now only the flag keeps the later steps from counting.
            guard.restore_buffers()
    guard.restore_buffers()
    assert guard.tripped()
    assert guard.good_steps.item() == bad_step
    assert_unchanged(before, model, optimizer)
    for tensor in (*model.state_dict().values(), *tensors_of(optimizer)):
        assert torch.isfinite(tensor).all()


def tensors_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [tensor for state in optimizer.state_dict()["state"].values() for tensor in state.values()]


def test_good_steps_are_counted_and_restoring_them_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Mixed()
    optimizer = make_optimizer(model.parameter_groups(), OptimConfig())
    guard = StepGuard(model)
    for number in range(4):
        optimizer.zero_grad()
        loss = model(torch.randn(4, 1, 4, 4)).square().mean()
        loss.backward()
        guard.step(optimizer, loss.detach(), torch.tensor(1.0))
        assert guard.good_steps.item() == number + 1
    before = copied(model, optimizer)
    guard.restore_buffers()
    assert not guard.tripped()
    assert_unchanged(before, model, optimizer)
    assert model.layers[1].num_batches_tracked.item() == 4


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.8, fused=True)),
        ("adam", lambda groups: torch.optim.Adam(groups, lr=0.1, betas=(0.8, 0.999), fused=True)),
        ("adamw", lambda groups: torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.999), fused=True)),
        ("rmsprop", lambda groups: torch.optim.RMSprop(groups, lr=0.1, alpha=0.99, momentum=0.8)),
    ],
)
def test_an_optimizer_without_the_compilers_marks_steps_as_torchs_own(name: str, make: Any) -> None:
    """To the bit, a deep copy too, and hooks, by which torch's profiler and users see a step, are called."""
    torch.manual_seed(0)
    first = [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(3))]
    ours, theirs = copy.deepcopy(first), copy.deepcopy(first)
    groups = [{"params": ours, "decays": True, "lr_scale": 1.0}]
    plain = make([{"params": theirs, "weight_decay": 0.01}])
    optimizer = make_optimizer(groups, OptimConfig(name=name, lr=0.1, momentum=0.8, weight_decay=0.01))
    assert isinstance(optimizer, type(plain))
    hooked: list[object] = []
    for _ in range(3):
        optimizer = copy.deepcopy(optimizer)
        ours = optimizer.param_groups[0]["params"]
        handle = optimizer.register_step_post_hook(lambda *_: hooked.append(None))
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        optimizer.step()
        plain.step()
        handle.remove()
        assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
        optimizer.zero_grad()
        assert all(mine.grad is None for mine in ours)
    assert len(hooked) == 3
    assert torch.is_grad_enabled()
