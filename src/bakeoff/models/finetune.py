"""Any classification network of torchvision, from scratch or from weights, whole or partly frozen.

AlexNet (Krizhevsky et al. 2012; torchvision's is Krizhevsky 2014, "One weird trick", section 5), VGG16
(Simonyan and Zisserman 2015, configuration D) and whatever else `torchvision.models` lists under
`model.arch`. The network is cut into `body` (its convolutions or blocks), `hidden` (what its last child
holds before the last layer) and `head` (a new linear layer for the data's classes); body and hidden
together are the backbone. Parameters with ten classes: alexnet 57,044,810, vgg16 134,301,514. Measured
accuracies stand in the files of `conf/model` and in docs/benchmarks.md.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torchvision.models
from jaxtyping import Float, Float32, UInt8
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bakeoff.config.strict import STRICT
from bakeoff.data.batches import Batch
from bakeoff.errors import ConfigError
from bakeoff.models.base import LogitsClassifier, TaskSpec, TrainingSpec
from bakeoff.models.parts.feature_cache import FeatureCache
from bakeoff.models.parts.torchvision_networks import cut, make_network, output_shape
from bakeoff.models.weights import fitting, pretrained
from bakeoff.models.weights.origin import COCO, IMAGENET, NONE, weights_origin
from bakeoff.models.weights.readings import Naming, Target

# Large convolutions and matrices: bf16 wins where the hardware multiplies it (docs/benchmarks.md).
AUTO_PRECISION = {"cpu": "bf16", "cuda": "bf16"}
# A CPU has no fast bf16 for depthwise convolutions: 1.1 to 1.8 times as long as fp32.
_DEPTHWISE = ("efficientnet", "mobilenet", "shufflenet")
REFUSES: tuple[str, ...] = ()

_LARGEST_VALUE_BYTES = 4  # of a feature, in float32; in bf16 it takes half


@dataclass
class Config:
    """Keys of `model` for the family `finetune`."""

    __pydantic_config__ = STRICT

    arch: str = "resnet18"  # a classification network of torchvision
    weights: str = IMAGENET  # first weights: imagenet, none, a file or a run directory
    image_size: Annotated[int, Field(ge=8, le=1024)] = 224  # pixels per side of the network's input
    freeze: Literal["none", "features", "all_but_head"] = "none"  # layers that are not trained
    # Factor of the learning rate for all layers but the last one.
    backbone_lr_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    cache_bytes: Annotated[int, Field(ge=0)] = 2**31  # bytes of memory for features of frozen layers

    @property
    def auto_precision(self) -> dict[str, str]:
        """Kind of device -> what `trainer.precision=auto` means for this architecture."""
        return AUTO_PRECISION | ({"cpu": "fp32"} if self.arch.startswith(_DEPTHWISE) else {})


class FineTuned(LogitsClassifier):
    """See the module's text."""

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(_in_three_channels(task))
        self.config = config
        network = make_network(config.arch, config.image_size, task.num_classes)
        self.body, self.hidden, self.head, self.own_names = cut(network)
        if config.weights != NONE and not task.weights_follow:
            self._load(task)
        stages = {"none": [], "features": [self.body], "all_but_head": [self.body, self.hidden]}
        self.frozen: list[nn.Module] = stages[config.freeze]
        self.cache: FeatureCache | None = None
        if self.frozen:
            for module in self.frozen:
                module.requires_grad_(requires_grad=False)
            self.train()
        backbone = (*self.body.parameters(), *self.hidden.parameters())
        if config.backbone_lr_scale != 1 and not any(p.requires_grad for p in backbone):
            raise ConfigError(
                f"model.backbone_lr_scale={config.backbone_lr_scale}: model.freeze={config.freeze} leaves no "
                f"backbone of {config.arch} to train; leave it at 1"
            )

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b classes"]:
        """Logits of normalised images."""
        return self._after_frozen(self._through_frozen(images))

    def normalise(self, images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b 3 s s"]:
        """Bytes to three channels of the network's size, by the statistics of its first weights."""
        size, pixels = self.config.image_size, images.float()
        if pixels.shape[2:] != (size, size):
            # Before one channel becomes three, and filtered, so that shrinking loses no thin stroke.
            pixels = F.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
        return (pixels - self.mean) / self.std

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Cross-entropy. What frozen layers say of images that stay as they are is computed once."""
        if self.cache is None:
            return super().losses(batch)
        return self.loss_of_logits(self._after_frozen(self._frozen_features(batch)), batch.labels)

    def begin_training(self, training: TrainingSpec) -> None:
        """Keeps the features of frozen layers, if the images stay as they are and the features fit."""
        super().begin_training(training)
        if self.frozen:
            self.cache, note = self._make_cache(training)
            self.notes += (note,)
            self.slow_epochs = int(self.cache is not None)

    def set_epoch(self, epoch: int) -> None:  # noqa: ARG002 - every epoch is alike
        """Lets the cache find out whether it is complete."""
        if self.cache:
            self.cache.start_epoch()

    def recall(self, batches: Iterator[Batch]) -> None:
        """Computes features again that a checkpoint does not hold, in the batches that gave their bits."""
        if self.cache and not self.cache.num_computed:
            for batch in batches:
                self._frozen_features(batch)

    def _frozen_features(self, batch: Batch) -> Tensor:
        assert self.cache is not None
        return self.cache.features(batch, lambda images: self._through_frozen(self.normalise(images)))

    def train(self, mode: bool = True) -> "FineTuned":
        """Frozen layers stay as in evaluation: batch norm keeps its statistics, dropout drops nothing."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The backbone has groups of its own, at `model.backbone_lr_scale` of the rate."""
        head = list(self.head.parameters())
        backbone = [*self.body.parameters(), *self.hidden.parameters()]
        return [
            {"params": [p for p in part if (p.ndim > 1) == decays], "decays": decays, "lr_scale": scale}
            for part, scale in ((backbone, self.config.backbone_lr_scale), (head, 1.0))
            for decays in (True, False)
        ]

    def _through_frozen(self, images: Tensor) -> Tensor:
        for module in self.frozen:
            images = module(images)
        return images

    def _after_frozen(self, features: Tensor) -> Tensor:
        for module in (self.body, self.hidden, self.head)[len(self.frozen) :]:
            features = module(features)
        return features

    def _make_cache(self, training: TrainingSpec) -> tuple[FeatureCache | None, str]:
        """A cache for the features of frozen layers if it can be and fits, and what to say of it."""
        if training.images_change:
            return None, (
                "features of the frozen layers are computed anew in every epoch, because images are "
                "augmented; without augmentation (as in data=mnist_plain) they are kept"
            )
        values = output_shape(nn.Sequential(*self.frozen), self.config.image_size).numel()
        num_images = training.num_images
        needed, limit = num_images * values * _LARGEST_VALUE_BYTES, self.config.cache_bytes
        what = f"features of {num_images:,} images take up to {needed:,} bytes"
        if needed > limit:
            return None, f"{what}, more than model.cache_bytes={limit:,}: computed anew in every epoch"
        return FeatureCache(num_images), f"{what}: computed in the first epoch and kept"

    def _load(self, task: TaskSpec) -> None:
        """Takes over weights and the statistics of the images that they were trained with.

        Raises:
            ConfigError: weights that this network cannot have.
            DataError: weights that cannot be had, or do not fit.
        """
        weights, arch = self.config.weights, self.config.arch
        origin = weights_origin(weights)  # also refuses what is neither a name nor a path
        names = None
        # Weights of a network that tells ImageNet's classes apart were trained with its statistics.
        enum = torchvision.models.get_model_weights(arch).DEFAULT
        statistics = enum.transforms()
        if weights == COCO:
            raise ConfigError(f"model.weights=coco: {arch} is a classifier; use {IMAGENET}")
        content: dict[str, Any]
        if weights == IMAGENET:
            content = dict(pretrained.fetch(enum))
        else:
            content, names = pretrained.read(weights)
        kept = names == task.class_names
        fitted = fitting.fit(weights, content, self._target(keeps_head=kept, of_a_run=names is not None))
        given, shape = fitted.tensors, self.mean.shape
        for name, values in (("mean", statistics.mean), ("std", statistics.std)):
            given.setdefault(name, torch.tensor(values).reshape(shape) * 255)
        self.load_state_dict(given, strict=False)
        self.weights_sha256 = pretrained.file_sha256(weights, enum)
        layers = [tensor for tensor in fitted.head.values() if tensor.ndim]
        there = len(layers[-1]) if layers and origin.startswith("file:") else None
        self.notes = (fitting.note(origin, fitted, kept=kept, there=there, here=task.num_classes),)

    def _target(self, *, keeps_head: bool, of_a_run: bool) -> Target:
        """This network by its own names, which a run's weights have, and by torchvision's."""
        own = self.state_dict()
        last_name = next(theirs for theirs, name in self.own_names.items() if name.startswith("head."))
        by_own = Naming({name: name for name in own}, "head.")
        by_theirs = Naming(self.own_names, f"{last_name.partition('.')[0]}.")
        return Target(
            title=self.config.arch,
            own=own,
            namings=(by_own,) if of_a_run else (by_theirs, by_own),
            head="head.",
            keeps_head=keeps_head,
            optional=frozenset({"mean", "std"}),
        )


def build(config: Config, task: TaskSpec) -> FineTuned:
    """Makes a network and loads its first weights.

    Raises:
        ConfigError: an unknown `arch`, or an image size that it cannot take.
        DataError: weights that cannot be had, or do not fit.
    """
    return FineTuned(config, task)


def _in_three_channels(task: TaskSpec) -> TaskSpec:
    """The task as the network sees it: grey images have the same value in all three channels."""
    if task.channels == 3:
        return task
    if task.channels != 1:
        raise ConfigError(f"data: images of {task.channels} channels; these networks take 1 or 3")
    return dataclasses.replace(task, channels=3, mean=task.mean * 3, std=task.std * 3)
