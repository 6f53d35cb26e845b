"""Every shipped model, found by its YAML, for the tests that each one is put through by itself."""

from functools import cache
from typing import Any

import torch

from bakeoff.compose import conf_dir, expand, parse_arguments
from bakeoff.config import Config, check
from bakeoff.models.base import Classifier, TaskSpec, check_model

CONFIGS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
NAMES = tuple(str(digit) for digit in range(10))
TASKS = [
    TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,)),
    TaskSpec(1, 8, 8, NAMES, mean=(0.3,), std=(0.37,)),
    TaskSpec(3, 32, 32, ("cat", "dog", "owl"), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
]


@cache
def _values(model_name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    return expand(parse_arguments([f"model={model_name}", *overrides]))[0][0].values


def shipped_config(model_name: str, overrides: list[str]) -> Config:
    """The config of `bakeoff train model=NAME`."""
    return check(_values(model_name, tuple(overrides)))


def build_model(model_name: str, task: TaskSpec, seed: int = 0) -> Classifier:
    """An untrained model of a shipped config."""
    family, config = check_model(_values(model_name, ()))
    torch.manual_seed(seed)
    return family.build(config, task)
