"""Every shipped model, found by its YAML, for the tests that each one is put through by itself."""

from functools import cache
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from bakeoff.config.compose import conf_dir, expand, parse_arguments
from bakeoff.config.schema import Config
from bakeoff.experiment.first_gate import check_shared
from bakeoff.models.base import Classifier, TaskSpec, check_model

CONFIGS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
# 41 to 134 million parameters: seconds for a test each.
HEAVY = {"alexnet", "vgg16", "faster_rcnn_resnet50"}
# The same networks as their namesakes, which a test asserts.
TWINS = {"alexnet_small", "vgg16_small", "lab_faster_rcnn"}
BY_TIER = [
    pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name
    for name in CONFIGS
    if name not in TWINS
]
NAMES = tuple(str(digit) for digit in range(10))
TASKS = [
    TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,)),
    TaskSpec(1, 8, 8, NAMES, mean=(0.3,), std=(0.37,)),
    TaskSpec(3, 32, 32, ("cat", "dog", "owl"), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
]
_SMALLEST_SIDE = {"alexnet": 64}


@cache
def _values(model_name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    return expand(parse_arguments([f"model={model_name}", *offline(model_name), *overrides]))[0][0].values


def offline(model_name: str) -> list[str]:
    """What a model with pre-trained weights needs to be built here: none of them, and small images."""
    return [f"model.{key}={value}" for key, value in offline_values(model_name).items()]


def offline_values(model_name: str) -> dict[str, Any]:
    """The same as values of the model's section."""
    keys = OmegaConf.load(conf_dir() / "model" / f"{model_name}.yaml").model
    if "weights" not in keys:
        return {}
    return {"weights": "none", "image_size": _SMALLEST_SIDE.get(model_name, 32)}


def shipped_config(model_name: str, overrides: list[str]) -> Config:
    """The config of `bakeoff train model=NAME`."""
    return check_shared(_values(model_name, tuple(overrides)))


def build_model(
    model_name: str, task: TaskSpec, seed: int = 0, overrides: tuple[str, ...] = ()
) -> Classifier:
    """An untrained model of a shipped config."""
    family, config = check_model(_values(model_name, overrides))
    torch.manual_seed(seed)
    return family.build(config, task)
