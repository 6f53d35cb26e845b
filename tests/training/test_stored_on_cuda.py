"""A state on a CUDA device that is only pretended goes through a checkpoint: what is loaded lies on the device."""

import itertools
from typing import Any

import pytest
import torch
from fake_cuda import fake_cuda
from shipped import TASKS, build_model, shipped_config
from torch import Tensor

from bakeoff.data.batches import Batch, plan_epoch, training_batches
from bakeoff.data.splits import TensorSplit
from bakeoff.machine.runtime import Runtime
from bakeoff.runs.records import ValidationScores
from bakeoff.training import loop, optim
from bakeoff.training.state import Best, TrainState, copy_of_weights, start

AUGMENTED = ["data.augment.shift_pixels=2", "trainer.accumulate=2"]
OPTIMIZERS = {  # a fused SGD cannot be pretended
    "adamw": [],
    "adamw, average": ["trainer.ema_decay=0.9"],
    "rmsprop, average": ["optim=rmsprop", "trainer.ema_decay=0.9"],
}
TASK = TASKS[0]


def new_state(where: Runtime, overrides: list[str], model_name: str) -> TrainState:
    config = shipped_config(model_name, overrides)
    model = build_model(model_name, TASK).to(where.device).to(memory_format=torch.channels_last)
    return start(model, optim.make_optimizer(model.parameter_groups(), config.optim), config.trainer, where)


def step(state: TrainState, where: Runtime, overrides: list[str], model_name: str) -> None:
    """One of `fit`'s; inside of `fake_cuda` a host read or a tensor elsewhere is an error."""
    config = shipped_config(model_name, overrides)
    pixels = torch.zeros((20, TASK.channels, TASK.height, TASK.width), dtype=torch.uint8)
    split = TensorSplit(pixels, torch.zeros(20, dtype=torch.int64)).to(where.device)
    plan = plan_epoch(split, config.data.augment, 0, 1, where.device)
    batch: Batch = next(training_batches(split, plan, 8, config.data.augment, where.device))
    optim.set_learning_rate(state.optimizer, 1e-3)
    loop.train_step(state, batch, config, where)


def as_read_from_disk(parts: dict[str, Any]) -> dict[str, Any]:
    """The tensors on the host, sorted by name, as safetensors gives them."""
    return {
        part: own if part == "plain" else {name: own[name].to("cpu", copy=True) for name in sorted(own)}
        for part, own in parts.items()
    }


def devices(parts: dict[str, Any]) -> dict[str, torch.device]:
    return {
        f"{part}.{name}": tensor.device
        for part, own in parts.items()
        if part != "plain"
        for name, tensor in own.items()
    }


# The copy of the model for the average asks a pretended tensor for its place in memory.
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize(
    ("model_name", "optimizer", "precision"),
    [
        ("cnn", "adamw, average", "fp16"),
        ("cnn", "rmsprop, average", "fp32"),
        *(
            pytest.param(*names, marks=pytest.mark.slow)
            for names in itertools.product(
                ["cnn", "vit", "faster_rcnn", "finetune"], OPTIMIZERS, ["bf16", "fp16"]
            )
        ),
    ],
)
def test_a_stored_state_lies_on_the_device_and_steps_without_a_host_read(
    model_name: str, optimizer: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.training.state.rng_states", lambda _: {"cpu": torch.zeros(4)})
    overrides = [*AUGMENTED, *OPTIMIZERS[optimizer]]
    with fake_cuda():
        where = Runtime(torch.device("cuda", 0), precision, channels_last=True)
        state = new_state(where, overrides, model_name)
        step(state, where, overrides, model_name)
        state.best = Best(1, ValidationScores(0.5, 0.5, 1.0), copy_of_weights(state.judged))
        stored = as_read_from_disk(state.state_dict())
        assert set(devices(stored).values()) == {torch.device("cpu")}
        fresh = new_state(where, overrides, model_name)
        fresh.load_state_dict(stored)
        assert devices(fresh.state_dict()) == devices(state.state_dict())
        on_host = {name for name, device in devices(fresh.state_dict()).items() if device.type == "cpu"}
        # Of RMSprop the count of steps, which is never used, is the host's.
        assert all(name == "optimizer.rng.cpu" or "rmsprop" in optimizer for name in on_host)
        for name, parameter in fresh.model.state_dict().items():
            assert _layout(parameter) == _layout(state.model.state_dict()[name]), name
        step(fresh, where, overrides, model_name)


def _layout(tensor: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tensor.stride(), tensor.dtype
