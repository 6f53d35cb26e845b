"""A finished run opened as a model: from its config and weights alone, without the data it was trained on."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from bakeoff.comparison.group import class_names
from bakeoff.comparison.image_shapes import image_shapes
from bakeoff.comparison.run import Run
from bakeoff.config.schema import Config
from bakeoff.data.sets import find_set
from bakeoff.data.splits import TensorSplit
from bakeoff.deploy.finished import config_here, finished_run, load_weights, refuse_sealed
from bakeoff.errors import DivergedError, RunsDifferError
from bakeoff.evaluation.batch_size import EvaluationBatch
from bakeoff.evaluation.prediction import predict
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.gates import SMALLER_MODEL, memory_explained
from bakeoff.machine.runtime import CHANNELS_LAST, Runtime, set_up
from bakeoff.models.base import Classifier, Family, TaskSpec, auto_precision, check_model


def _batch() -> EvaluationBatch:
    """Chosen by memory, in silence: there is no key of a config to change it by."""
    return EvaluationBatch(say=lambda _: None)


@dataclass(frozen=True)
class Trained:
    """A model with the weights that its run chose."""

    run: Run
    config: Config
    task: TaskSpec
    model: Classifier  # in evaluation mode, on the runtime's device
    runtime: Runtime
    batch: EvaluationBatch = field(default_factory=_batch)  # how many images at once

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.task.class_names

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""
        return self.task.channels, self.task.height, self.task.width

    def set_up_again(self) -> None:
        """Sets threads and number formats of the process as they were when it was opened."""
        trainer = dataclasses.replace(self.config.trainer, device=str(self.runtime.device))
        set_up(trainer, {self.runtime.device.type: self.runtime.precision})

    def probabilities(self, images: UInt8[Tensor, "n c h w"]) -> Float32[np.ndarray, "n classes"]:
        """Rates images; rows sum to at most 1, and what is missing is "no prediction".

        Args:
            images: bytes as the data set has them, of `shape`, on any device; as many as there are.

        Raises:
            RunsDifferError: the weights give what is no number.
            ResourceError: out of memory with a single image.
        """
        if not len(images):
            return np.zeros((0, len(self.class_names)), np.float32)
        split = TensorSplit(images, torch.zeros(len(images), dtype=torch.int64, device=images.device))
        try:
            found = predict(self.model, split, self.runtime, self.batch, with_own_scores=False)
        except DivergedError as error:
            raise RunsDifferError(
                f"{self.run.path}: its probabilities are not finite; the weights are damaged, train it again"
            ) from error
        return found.probabilities


def open_trained(
    path: Path, device: str | None = None, *, threads: int | None = None, precision: str | None = None
) -> Trained:
    """Opens a finished run as a model. Draws nothing from the generators of whoever asks.

    Args:
        path: the run directory.
        device: `auto`, `cpu`, `cuda` or `cuda:N`; None: `auto`.
        threads: of the CPU; None: the run's.
        precision: number format; None: the run's.

    Raises:
        ConfigError: its race or search goes on, or what is asked for is not there.
        RunsDifferError: it is not finished, cannot be read, or its weights do not fit.
    """
    refuse_sealed(path)
    run = finished_run(path, "used")
    values = config_here(run, device or "auto", threads)
    trainer = values.get("trainer")
    if isinstance(trainer, dict):
        # What training alone needs.
        trainer |= {"compile": False, "deterministic": False}
        trainer["precision"] = precision or trainer.get("precision")
    config = check_shared(values)
    family, model_config = check_model(values)
    runtime = set_up(config.trainer, auto_precision(family, model_config))
    task, model = _built(run, config, family, model_config)
    model = model.to(runtime.device)
    if runtime.channels_last:
        model = model.to(memory_format=CHANNELS_LAST)
    return Trained(run, config, task, model.eval(), runtime)


def _built(run: Run, config: Config, family: Family, model_config: Any) -> tuple[TaskSpec, Classifier]:
    """The network with its weights, for the first size of images that these fit.

    Raises:
        RunsDifferError: there is none.
    """
    shapes = image_shapes(run)
    if not shapes:
        raise RunsDifferError(
            f"{run.path}: the version of bakeoff that trained it did not record the size of its images; "
            "train it again"
        )
    name = config.model["name"]
    for shape in shapes:
        task = _task(run, config, shape)
        with (
            memory_explained(f"model={name}", "while the network was made", SMALLER_MODEL),
            torch.random.fork_rng(devices=[]),  # first weights are drawn, and overwritten
        ):
            model = family.build(model_config, task)
        try:
            load_weights(model, run)
        except RunsDifferError:
            if shape == shapes[-1]:
                raise
        else:
            return task, model
    raise AssertionError


def _task(run: Run, config: Config, shape: tuple[int, ...]) -> TaskSpec:
    channels, height, width = shape
    names = class_names(run)
    if len(names) < 2 or len(set(names)) < len(names):
        raise RunsDifferError(
            f"{run.path}: its summary does not name the classes, each once; {len(names)} names stand there"
        )
    return TaskSpec(
        channels,
        height,
        width,
        class_names=names,
        # Placeholders: the weights bring the statistics of the training images.
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
        has_ink=find_set(config.data.name).TRAITS.has_ink,
        weights_follow=True,
    )
