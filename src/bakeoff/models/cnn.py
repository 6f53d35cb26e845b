"""A convolutional network in the manner of LeNet-5 (LeCun et al. 1998), with batch norm.

Blocks of convolution, pooling, normalisation, activation and dropout, then a global pooling or the
flattened maps, then hidden layers, then one linear layer to the classes. Every part is a list of any
length or one number for all. As shipped (`conf/model/cnn.yaml`): 61,050 parameters, 99.67 % on MNIST.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from bakeoff.config.strict import STRICT
from bakeoff.errors import ConfigError
from bakeoff.models.base import LogitsClassifier, TaskSpec

# bf16 where the CPU has bf16 units: see docs/benchmarks.md for both precisions on one machine.
AUTO_PRECISION = {"cpu": "bf16", "cuda": "bf16"}
REFUSES: tuple[str, ...] = ()

_GROUP_NORM_CHANNELS = 8
_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
_POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
Size = Annotated[int, Field(ge=1, le=65_536)]
Padding = Annotated[int, Field(ge=0, le=4_096)]  # pixels; more than any image has
Dropout = Annotated[float, Field(ge=0, lt=1)]


@dataclass
class Config:
    """Keys of `model` for the family `cnn`. A list has an entry for each convolution."""

    __pydantic_config__ = STRICT

    # Number of channels of each convolution; one number per convolution.
    channels: Annotated[list[Size], Field(min_length=1)] = field(default_factory=lambda: [16, 32, 64, 64])
    kernel_sizes: Size | list[Size] = 3  # pixels per side of the kernel
    strides: Size | list[Size] = 1  # step of the kernel, in pixels
    paddings: Padding | list[Padding] = 1  # width of the border of zeros, in pixels
    # Window and stride of pooling; 1: no pooling; null: 2 while the map has more than 7 pixels per side.
    pools: Size | list[Size] | None = None
    pooling: Literal["max", "avg"] = "max"  # a window becomes its maximum or its mean
    norm: Literal["batch", "group", "none"] = "batch"  # normalisation after each convolution
    # The function after each layer.
    activation: Literal["relu", "leaky_relu", "gelu", "silu", "tanh"] = "relu"
    conv_dropout: Dropout = 0.0  # probability of dropping a channel, in each block
    # Pooling of each whole map at the end; none: the maps are flattened.
    global_pool: Literal["none", "avg", "max"] = "max"
    # Widths of the linear layers before the last one.
    hidden_sizes: list[Size] = field(default_factory=list)
    dropout: Dropout = 0.0  # probability of dropping a value, before each linear layer


class Cnn(LogitsClassifier):
    """See the module's text."""

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(task)
        height, width = task.height, task.width
        num_layers = len(config.channels)
        kernels = _per_layer("kernel_sizes", config.kernel_sizes, num_layers)
        strides = _per_layer("strides", config.strides, num_layers)
        paddings = _per_layer("paddings", config.paddings, num_layers)
        pools = None if config.pools is None else _per_layer("pools", config.pools, num_layers)
        blocks: list[nn.Module] = []
        before = task.channels
        for layer, channels in enumerate(config.channels):
            where = f"layer {layer + 1} of {num_layers}"
            kernel, stride, padding = kernels[layer], strides[layer], paddings[layer]
            height = _shrunk(
                height, kernel, stride, padding, f"model.kernel_sizes: the convolution of {where}"
            )
            width = _shrunk(width, kernel, stride, padding, f"model.kernel_sizes: the convolution of {where}")
            pool = pools[layer] if pools else _own_pool(height, width)
            # A bias before batch norm would be subtracted again.
            blocks.append(nn.Conv2d(before, channels, kernel, stride, padding, bias=config.norm != "batch"))
            rest = [*_norm(config.norm, channels), _ACTIVATIONS[config.activation]()]
            if pool > 1:
                height = _shrunk(height, pool, pool, 0, f"model.pools: the pooling of {where}")
                width = _shrunk(width, pool, pool, 0, f"model.pools: the pooling of {where}")
                # The maximum is taken first: a rising activation gives the same, and norm and
                # activation then cost a quarter. An average is taken last, as in LeNet-5.
                rest.insert(0 if config.pooling == "max" else len(rest), _POOLINGS[config.pooling](pool))
            blocks += rest
            if config.conv_dropout:
                blocks.append(nn.Dropout2d(config.conv_dropout))
            before = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _head(config, before, height, width, task.num_classes)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b classes"]:
        """Logits of normalised images."""
        return self.head(self.blocks(images))


def build(config: Config, task: TaskSpec) -> Cnn:
    """Makes an untrained network.

    Raises:
        ConfigError: lists of different lengths, or a layer that leaves nothing of the image.
    """
    return Cnn(config, task)


def _head(config: Config, channels: int, height: int, width: int, num_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    if config.global_pool == "avg":
        layers.append(nn.AdaptiveAvgPool2d(1))
    elif config.global_pool == "max":
        layers.append(nn.AdaptiveMaxPool2d(1))
    layers.append(nn.Flatten())
    before = channels if config.global_pool != "none" else channels * height * width
    for size in config.hidden_sizes:
        if config.dropout:
            layers.append(nn.Dropout(config.dropout))
        layers += [nn.Linear(before, size), _ACTIVATIONS[config.activation]()]
        before = size
    if config.dropout:
        layers.append(nn.Dropout(config.dropout))
    layers.append(nn.Linear(before, num_classes))
    return nn.Sequential(*layers)


def _norm(name: str, channels: int) -> list[nn.Module]:
    if name == "batch":
        return [nn.BatchNorm2d(channels)]
    if name == "group":
        groups = channels // _GROUP_NORM_CHANNELS if channels % _GROUP_NORM_CHANNELS == 0 else 1
        return [nn.GroupNorm(max(1, groups), channels)]
    return []


def _per_layer(name: str, value: int | Sequence[int], num_layers: int) -> list[int]:
    if isinstance(value, int):
        return [value] * num_layers
    if len(value) != num_layers:
        raise ConfigError(
            f"model.{name}={list(value)}: {len(value)} entries for {num_layers} convolutions "
            "(model.channels); give as many, or one number for all"
        )
    return list(value)


def _own_pool(height: int, width: int) -> int:
    """Halves the maps while both sides are above 7 pixels: 28 -> 14 -> 7, 8 -> 4."""
    return 2 if min(height, width) > 7 else 1


def _shrunk(size: int, kernel: int, stride: int, padding: int, what: str) -> int:
    """The size after a convolution or pooling along one side.

    Raises:
        ConfigError: nothing is left.
    """
    after = (size + 2 * padding - kernel) // stride + 1
    if size + 2 * padding < kernel or after < 1:
        raise ConfigError(
            f"{what} leaves nothing: window {kernel}, padding {padding}, on {size} pixels; "
            "make it smaller or pool less"
        )
    return after
