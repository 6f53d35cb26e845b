"""The network of a run, built again from its stored config: its layers, their shapes and parameters.

The config may be somebody else's. Its family is one of ours, its keys are checked as before a training, its
weights are neither fetched nor opened, and what is built has shapes and no memory (torch's device `meta`).
Only a network that cannot run so is built for real, after its number of parameters was found right. torch
loads here, inside of functions.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ConfigError
from bakeoff.machine.process import loading_torch
from bakeoff.report.lab.layers import SOME, Layer, Network, Shape, folded
from bakeoff.text import one_line

if TYPE_CHECKING:
    from torch import nn

    from bakeoff.models.base import Classifier

# Of somebody's config that is not worth a try: what one can write by hand is far below.
_MOST_CHARACTERS, _MOST_BLOCKS = 5_000, 500
_MOST_REAL_PARAMETERS = 200_000_000  # 0.8 GB
_EMPTY = ("Identity", "Sequential", "ModuleList")  # that hold nothing and do nothing
_DEEPEST = 64  # modules inside of one another


class NotRebuiltError(Exception):
    """Why there is no network to show."""


def rebuild(
    config: Mapping[str, Any], shapes: Sequence[Shape], class_names: Sequence[str], parameters: int | None
) -> Network:
    """The network that a stored config describes.

    Args:
        config: of a run.
        shapes: what the images may have been: channels, height, width; the first that fits is taken.
        class_names: that it tells apart.
        parameters: how many the run has recorded.

    Raises:
        NotRebuiltError: it cannot be built, or has another number of parameters than the run.
    """
    section = config.get("model")
    if not isinstance(section, dict) or _is_too_large(section):
        raise NotRebuiltError("its config has no section `model` that could be built")
    if not shapes or not class_names:
        raise NotRebuiltError("the size of its images, or its classes, are not recorded")
    if parameters is None:
        raise NotRebuiltError("its number of parameters is not recorded, so nothing could be checked")
    found: list[str] = []
    with loading_torch():
        import torch  # noqa: F401 - the time it takes is told
    for shape in shapes:
        try:
            count = _count(section, shape, class_names)
            if count == parameters:
                return _network(section, shape, class_names)
            found.append(f"{count:,}")
        except ConfigError as error:
            raise NotRebuiltError(one_line(error)) from error
        except Exception as error:
            # One network that does not build must not take the report of all others along.
            raise NotRebuiltError(f"{type(error).__name__}: {one_line(error)}") from error
    raise NotRebuiltError(
        f"built from its config it has {' or '.join(dict.fromkeys(found))} parameters, and the run recorded "
        f"{parameters:,}: another version of bakeoff trained it"
    )


def _is_too_large(section: dict[str, Any]) -> bool:
    depth = section.get("depth")
    return len(json.dumps(section)) > _MOST_CHARACTERS or (isinstance(depth, int) and depth > _MOST_BLOCKS)


def _build(section: dict[str, Any], shape: Shape, class_names: Sequence[str], device: str) -> "Classifier":
    """An untrained network; its first weights are not read.

    Raises:
        ConfigError: no such family, or keys that it does not have.
    """
    import torch

    from bakeoff.config.strict import parse_section
    from bakeoff.models.base import TaskSpec, find_family

    keys = {key: value for key, value in section.items() if key not in ("name", "family")}
    family = find_family(str(section.get("family")))
    channels, height, width = shape
    task = TaskSpec(
        channels,
        height,
        width,
        class_names=tuple(class_names),
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
        weights_follow=True,
    )
    # Random weights are drawn; the generator of whoever asks stays as it is.
    with torch.device(device), torch.random.fork_rng(devices=[]):
        return family.build(parse_section(family.Config, keys, "model"), task).eval()


def _count(section: dict[str, Any], shape: Shape, class_names: Sequence[str]) -> int:
    return sum(parameter.numel() for parameter in _build(section, shape, class_names, "meta").parameters())


def _network(section: dict[str, Any], shape: Shape, class_names: Sequence[str]) -> Network:
    """Raises whatever a network raises that cannot be run."""
    model = _build(section, shape, class_names, "meta")
    try:
        given, fed = _shapes_given(model, shape, "meta")
    except (NotImplementedError, RuntimeError):  # loops over boxes, whose number depends on the image
        if sum(parameter.numel() for parameter in model.parameters()) > _MOST_REAL_PARAMETERS:
            raise
        model = _build(section, shape, class_names, "cpu")
        given, fed = _shapes_given(model, shape, "cpu")
    kinds = Counter(type(module) for module in model.modules())
    layers = folded(list(_layers(model, "", given, kinds)))
    network = Network(shape, fed, layers)
    assert network.parameters == sum(parameter.numel() for parameter in model.parameters())
    return network


def _shapes_given(model: "Classifier", shape: Shape, device: str) -> tuple[dict[int, Shape], Shape | None]:
    """What each module gives for one image, by its id; and what the first layer is given. By torchinfo."""
    import torch
    import torchinfo
    from torch import nn

    class AsUsed(nn.Module):
        """From bytes to probabilities: not every model has a `forward`."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.model.probabilities(images)

    images = torch.zeros((1, *shape), dtype=torch.uint8, device=device)
    found = torchinfo.summary(
        AsUsed(), input_data=[images], device=device, verbose=0, depth=_DEEPEST, mode="eval"
    )
    given: dict[int, Shape] = {}
    fed: Shape | None = None
    for layer in found.summary_list:
        size = _of_one_image(layer.output_size, device)
        if layer.executed and size is not None:
            given.setdefault(id(layer.module), size)
            if fed is None and layer.is_leaf_layer:
                fed = _of_one_image(layer.input_size, device)
    return given, fed


def _of_one_image(size: object, device: str) -> Shape | None:
    """Without the first dimension, where that is the one image.

    Where shapes depend on values, as the number of proposed boxes does, random weights tell nothing of it.
    """
    if not isinstance(size, list | tuple) or not size or not all(isinstance(number, int) for number in size):
        return None
    if size[0] == 1 and len(size) > 1:
        return tuple(size[1:])
    return (SOME, *size[1:]) if device != "meta" else tuple(size)


def _layers(
    module: "nn.Module", path: str, given: Mapping[int, Shape], kinds: Mapping[type, int]
) -> Iterator[Layer]:
    """Layers and blocks below a module; what only holds others is looked into."""
    for name, parameter in module.named_parameters(recurse=False):
        shape = tuple(parameter.shape)
        shape = shape[1:] if shape[:1] == (1,) else shape
        yield Layer(f"{path}{name}", "parameters", shape, parameter.numel())
    for name, child in module.named_children():
        own = f"{path}{name}"
        size = given.get(id(child))
        count = sum(parameter.numel() for parameter in child.parameters())
        is_leaf = next(child.children(), None) is None
        if is_leaf:
            kind = _kind(child)
            if count or (size is not None and kind not in _EMPTY):
                yield Layer(own, kind, size, count, is_weighted=bool(count) and "Norm" not in kind)
        elif _is_block(child, kinds):
            inner = folded([_without_inner(layer) for layer in _layers(child, "", given, kinds)])
            yield Layer(own, type(child).__name__, size, count, inner=inner, is_weighted=count > 0)
        else:
            yield from _layers(child, f"{own}.", given, kinds)


def _without_inner(layer: Layer) -> Layer:
    return Layer(layer.name, layer.kind, layer.shape, layer.parameters)


def _is_block(module: "nn.Module", kinds: Mapping[type, int]) -> bool:
    """A module that the network has several of, as an encoder block; a plain container is none."""
    from torch import nn

    is_container = isinstance(module, nn.Sequential) or type(module) in (nn.ModuleList, nn.ModuleDict)
    return not is_container and kinds[type(module)] > 1


def _kind(layer: "nn.Module") -> str:
    """Its class, with what a reader asks for first."""
    text = type(layer).__name__
    kernel, stride, groups = (getattr(layer, name, None) for name in ("kernel_size", "stride", "groups"))
    if kernel is not None:
        text += f" {_pair(kernel)}"
        if text.startswith("Conv") and _pair(stride) != "1×1":
            text += f", stride {_pair(stride).partition('×')[0]}"
    return f"{text}, {groups} groups" if isinstance(groups, int) and groups > 1 else text


def _pair(value: Any) -> str:
    sides = value if isinstance(value, tuple) else (value, value)
    return "×".join(map(str, sides))
