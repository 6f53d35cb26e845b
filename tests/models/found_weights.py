"""Files of weights in other programs' forms, and a network that they are loaded into."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models
from first_weights import ARCH, IMAGENET_MEAN, TASK, make
from torch import Tensor

from bakeoff.models.finetune import FineTuned

NEW = "head new (37 classes there, 10 here)"


@pytest.fixture(scope="module")
def plain() -> dict[str, Tensor]:
    """A state dict as torchvision's network has it, for 37 classes."""
    return state_dict(5)


def state_dict(seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return dict(torchvision.models.get_model(ARCH, weights=None, num_classes=37).state_dict())


def prefixed(prefix: str, tensors: dict[str, Tensor], without: str = "-") -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items() if not name.startswith(without)}


@cache
def network() -> FineTuned:
    """One network that all tests load into: to make one takes far longer."""
    return make("none")


@cache
def scratch() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network().state_dict().items()}


def loaded(path: Path) -> tuple[dict[str, Tensor], str]:
    """State and note of a network that begins with a file."""
    model = network()
    model.load_state_dict(scratch())
    model.config = replace(model.config, weights=str(path))
    model._load(TASK)
    (note,) = model.notes
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}, note


def assert_like(path: Path, plain: dict[str, Tensor]) -> str:
    """The network has all tensors of the plain form but its last layer; gives what the note says of it."""
    own, note = loaded(path)
    names = network().own_names
    expected = scratch() | {names[name]: tensor for name, tensor in plain.items() if name[:3] != "fc."}
    assert own.keys() == expected.keys()
    for name, tensor in own.items():
        if name == "mean":
            torch.testing.assert_close(tensor, IMAGENET_MEAN)
        elif name != "std":
            assert torch.equal(tensor, expected[name]), name
            assert tensor.dtype == expected[name].dtype
    begin, _, rest = note.partition(", ")
    assert begin.startswith("weights: file:")
    return rest


def saved(folder: Path, content: Any, name: str = "net.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name
