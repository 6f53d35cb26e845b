"""A small network of torchvision and weights for it, for the tests of `model.weights`."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models
from shipped import NAMES
from torch import Tensor
from torchvision.models import ShuffleNet_V2_X0_5_Weights

from bakeoff.models.base import TaskSpec
from bakeoff.models.finetune import Config, FineTuned, build

TASK = TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,))
ARCH = "shufflenet_v2_x0_5"
ENUM = ShuffleNet_V2_X0_5_Weights.DEFAULT
DIGITS = ["data=digits", "model=finetune", f"model.arch={ARCH}", "model.image_size=32", "trainer.threads=1"]
SHORT = [*DIGITS, "data.train_limit=64", "trainer.epochs=1", "trainer.batch_size=32"]
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1) * 255


def make(weights: str, **keys: Any) -> FineTuned:
    torch.manual_seed(9)
    return build(Config(**({"arch": ARCH, "image_size": 32, "weights": weights} | keys)), TASK)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """A state dict as torchvision's files have it, for 1,000 classes."""
    torch.manual_seed(5)
    return torchvision.models.get_model(ARCH, weights=None).state_dict()


def assert_loaded(model: FineTuned, tensors: dict[str, Tensor]) -> None:
    """Everything but the head is the file's, and the normalisation is ImageNet's."""
    own = model.state_dict()
    for name, tensor in tensors.items():
        if not name.startswith("fc."):
            assert torch.equal(own[f"body.{name}"], tensor), name
    assert own["head.weight"].shape == (10, 1024)
    torch.testing.assert_close(own["mean"], IMAGENET_MEAN)


class Evil:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)
