"""A toy classifier and toy data for tests of the loop."""

from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.config import schema as shared
from bakeoff.config.schema import Config
from bakeoff.config.strict import parse_section
from bakeoff.data.splits import TensorSplit
from bakeoff.machine import runtime
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import Classifier, LogitsClassifier, TaskSpec
from bakeoff.training.optim import make_optimizer
from bakeoff.training.state import TrainState, start

TASK = TaskSpec(1, 6, 6, ("a", "b", "c"), mean=(0.5,), std=(0.25,))
CPU = Runtime(torch.device("cpu"), "fp32", channels_last=False)


class Toy(LogitsClassifier):
    """Batch norm and dropout, so that modes, buffers and generators matter."""

    def __init__(self) -> None:
        super().__init__(TASK)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, 3)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class FailingToy(Toy):
    """Its activations are not finite in one training step."""

    def __init__(self, bad_call: int) -> None:
        super().__init__()
        self.calls, self.bad_call = 0, bad_call

    def normalise(self, images: Tensor) -> Tensor:
        self.calls += self.training
        factor = float("nan") if self.training and self.calls == self.bad_call else 1.0
        return super().normalise(images) * factor


def toy_config(**changes: Any) -> Config:
    """Shared defaults with small numbers; `section__key=value` changes one."""
    values = shared.defaults() | {"model": {"name": "toy", "family": "toy"}, "output_dir": "unused"}
    values["trainer"] |= {"epochs": 3, "batch_size": 16}
    values["data"]["augment"]["shift_pixels"] = 1
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            values[section][name] = value
        else:
            values[section] = value
    return parse_section(Config, values, "")


def toy_split(count: int, seed: int = 0) -> TensorSplit:
    """Images whose class is the brightest third."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    pixels = torch.randint(0, 120, (count, 1, 6, 6), generator=generator, dtype=torch.uint8)
    for index, label in enumerate(labels.tolist()):
        pixels[index, 0, 2 * label : 2 * label + 2] += 100
    return TensorSplit(pixels, labels)


def toy_state(config: Config, model: Classifier | None = None) -> TrainState:
    """A fresh state; the same seed gives the same bits."""
    runtime.seed_everything(config.seed)
    model = model or Toy()
    return start(model, make_optimizer(model.parameter_groups(), config.optim), config.trainer, CPU)


def weights_of(state: TrainState) -> dict[str, Tensor]:
    """A copy of parameters and buffers."""
    return {name: tensor.clone() for name, tensor in state.model.state_dict().items()}


def assert_same_bits(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name
