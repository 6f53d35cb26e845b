"""The layers of a network as plain records. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

Shape = tuple[int, ...]
SOME = -1  # a size that depends on the image and the weights


@dataclass(frozen=True)
class Layer:
    """A layer, a repeated block of layers, or parameters that belong to no layer.

    What follows one another and is alike is one record with a count.
    """

    name: str  # dotted, in the network
    kind: str  # such as Conv2d 3×3
    shape: Shape | None  # of what it gives for one image; None where it was not seen to run
    parameters: int  # of one of them
    count: int = 1
    last_name: str = ""  # of the last of several
    inner: tuple["Layer", ...] = ()  # of a block
    is_weighted: bool = False  # whether it computes with weights of its own: no norm, no activation

    @property
    def alike(self) -> tuple[object, ...]:
        """Equal for layers that may be folded."""
        return self.kind, self.shape, self.parameters, tuple(layer.alike for layer in self.inner)


@dataclass(frozen=True)
class Network:
    """All layers of a network, in the order in which it holds them."""

    image: Shape  # channels, height, width of the data
    fed: Shape | None  # what its first layer is given, for one image
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return sum(layer.parameters * layer.count for layer in self.layers)


def folded(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Equal layers that follow one another become one with a count."""
    found: list[Layer] = []
    for layer in layers:
        if found and found[-1].alike == layer.alike:
            found[-1] = replace(found[-1], count=found[-1].count + 1, last_name=layer.name)
        else:
            found.append(layer)
    return tuple(found)


def shape_text(shape: Shape | None) -> str:
    """Such as 16 × 8 × 8."""
    return " × ".join("n" if size == SOME else f"{size:,}" for size in shape) if shape else "-"
