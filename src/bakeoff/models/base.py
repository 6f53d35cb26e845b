"""The contract of every model: it is taught from a batch and rates every class.

The loop knows nothing else and never asks which family it holds. A family is a file beside this
one, found by its name; it exposes

    Config                  a dataclass, `__pydantic_config__ = STRICT`; its fields are the keys of
                            the family's YAML files, less `name` and `family`
    build(config, task)     -> Classifier; raises ConfigError for what does not fit the images
    AUTO_PRECISION          kind of device -> what `trainer.precision=auto` means, as measured; a Config
                            with an `auto_precision` of its own has the last word
    REFUSES                 shared keys that the family cannot honour; any value but the default is
                            a config error
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from bakeoff.config.schema import defaults
from bakeoff.config.strict import dotted_keys, parse_section
from bakeoff.data.batches import Batch
from bakeoff.errors import ConfigError, nearest
from bakeoff.machine.process import loading


@dataclass(frozen=True)
class TaskSpec:
    """What a model must know of the data."""

    channels: int
    height: int
    width: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...]  # by channel, of values in 0..1, over the training images
    std: tuple[float, ...]
    has_ink: bool = False  # bright writing or drawing on black, as MNIST; not photographs
    weights_follow: bool = False  # the network is filled after it is made: `model.weights` is not read

    @property
    def num_classes(self) -> int:
        """How many classes are told apart."""
        return len(self.class_names)


@dataclass(frozen=True)
class TrainingSpec:
    """What a model must know of how it will be taught."""

    num_images: int
    images_change: bool  # augmentation shows each image otherwise in every epoch
    label_smoothing: float = 0.0


class Overlay(NamedTuple):
    """What a model can show of how it decided about one image."""

    title: str
    heat: Float32[Tensor, "h w"] | None
    boxes: Float32[Tensor, "k 4"]  # xyxy in pixels of the input
    box_labels: list[str]
    box_scores: list[float]
    true_box: Float32[Tensor, "4"] | None = None  # where it is known better than "all of the image"


class Classifier(nn.Module, ABC):
    """A model as the loop sees it. It owns its preprocessing: raw bytes go in."""

    notes: tuple[str, ...] = ()  # what a user should know of how it was built
    slow_epochs: int = 0  # first epochs whose steps take longer than all later ones, as they keep features
    weights_sha256: str | None = None  # hex, of the file of its first weights; None: from scratch

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The scalar parts of the training loss; the loop adds them."""

    @abstractmethod
    def probabilities(self, images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b classes"]:
        """A probability for every class. Rows sum to at most 1; what is missing is "no answer"."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimizer, all parameters in them: `params`, `decays`, `lr_scale`.

        Weight decay is for weights of two dimensions and more; biases and norms go without.
        """
        parameters = list(self.parameters())
        return [
            {"params": [p for p in parameters if p.ndim > 1], "decays": True, "lr_scale": 1.0},
            {"params": [p for p in parameters if p.ndim <= 1], "decays": False, "lr_scale": 1.0},
        ]

    def begin_training(self, training: TrainingSpec) -> None:
        """Called once, before the first step; for models that the trainer's choices concern."""

    def recall(self, batches: Iterator[Batch]) -> None:
        """Called before a stored training goes on, for what a model keeps of images and no state holds.

        Args:
            batches: those that went through `losses` in the first epoch so far, as they did.
        """

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, counted from 1; for models that unfreeze."""

    def extra_scores(
        self, images: UInt8[Tensor, "b c h w"], labels: Int64[Tensor, "b"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Scores of the model's own, summed over the batch; divided later by the number of images."""
        return {}

    def rate(
        self, images: UInt8[Tensor, "b c h w"], labels: Int64[Tensor, "b"]
    ) -> tuple[Float32[Tensor, "b classes"], dict[str, Float[Tensor, ""]]]:
        """`probabilities` and `extra_scores`; for models that find both in one pass."""
        return self.probabilities(images), self.extra_scores(images, labels)

    def explain(self, images: UInt8[Tensor, "b c h w"]) -> list[Overlay]:
        """What to draw on images, one for each; empty if there is nothing to show."""
        return []


@contextmanager
def evaluating(model: Classifier) -> Iterator[None]:
    """The model in evaluation mode and without gradients inside the block; its mode is restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


class LogitsClassifier(Classifier):
    """A classifier whose `forward` gives logits. Normalises bytes by the data's own statistics."""

    def __init__(self, task: TaskSpec) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        # Buffers, so that saved weights bring the statistics that they were trained with.
        shape = (1, task.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(task.mean).reshape(shape) * 255)
        self.register_buffer("std", torch.tensor(task.std).reshape(shape) * 255)
        self.label_smoothing = 0.0

    @abstractmethod
    def forward(self, images: Float32[Tensor, "b c h w"]) -> Float[Tensor, "b classes"]:
        """Logits of normalised images."""

    def normalise(self, images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b c h w"]:
        """Bytes to values of mean 0 and standard deviation 1 over the training images."""
        return (images - self.mean) / self.std

    def begin_training(self, training: TrainingSpec) -> None:
        """Takes over the trainer's label smoothing."""
        self.label_smoothing = training.label_smoothing

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Cross-entropy of the logits, in float32 whatever the precision of the forward pass."""
        return self.loss_of_logits(self(self.normalise(batch.images)), batch.labels)

    def loss_of_logits(
        self, logits: Float[Tensor, "b classes"], labels: Int64[Tensor, "b"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Cross-entropy with label smoothing, in float32."""
        return {
            "cross_entropy": F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)
        }

    def probabilities(self, images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b classes"]:
        """Softmax of the logits in float32."""
        return self(self.normalise(images)).float().softmax(dim=1)


@runtime_checkable
class Family(Protocol):
    """What a family's file exposes."""

    Config: type[Any]
    AUTO_PRECISION: Mapping[str, str]
    REFUSES: Sequence[str]

    def build(self, config: Any, task: TaskSpec) -> Classifier:
        """Makes an untrained model."""


def find_family(name: str) -> Family:
    """Imports a family's file by its name.

    Raises:
        ConfigError: there is no such file.
    """
    files = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    known = [stem for stem in files if stem not in ("__init__", "base")]
    if name not in known:
        raise ConfigError(
            f"model.family={name}: no such family; there are {', '.join(known)}{nearest(name, known)}"
        )
    with loading():  # torchvision, which loads torch's compiler too, in some of them
        return cast("Family", importlib.import_module(f"bakeoff.models.{name}"))


def auto_precision(family: Family, model_config: Any) -> Mapping[str, str]:
    """Kind of device -> what `trainer.precision=auto` means for a model, as measured."""
    return getattr(model_config, "auto_precision", family.AUTO_PRECISION)


def check_model(values: dict[str, Any]) -> tuple[Family, Any]:
    """Gate 2: the section `model` against its family, before data are read.

    Args:
        values: the whole config, plain.

    Returns:
        The family and its parsed `Config`.

    Raises:
        ConfigError: a key of `model`, or a shared key that the family cannot honour.
    """
    section = dict(values["model"])
    section.pop("name")
    family = find_family(section.pop("family"))
    parsed = parse_section(family.Config, section, "model")
    standard, given = dotted_keys(defaults()), dotted_keys(values)
    for key in family.REFUSES:
        if given[key] != standard[key]:
            raise ConfigError(
                f"{key}={given[key]}: {values['model']['name']} has no use for it; "
                f"leave it at {standard[key]}"
            )
    return family, parsed
