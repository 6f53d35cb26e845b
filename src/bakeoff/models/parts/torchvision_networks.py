"""torchvision's classification networks: which fit, for images of which size, and where to cut them."""

from typing import Any

import torch
import torchvision.models
from torch import Tensor, nn

from bakeoff.errors import ConfigError, nearest
from bakeoff.text import one_line

# GoogLeNet and Inception have auxiliary outputs, SqueezeNet no linear head; MNASNet rebuilds its
# stem while it loads weights that are no file of torchvision's.
_EXCLUDED = ("googlenet", "inception", "squeezenet", "mnasnet")
_USUAL_SIZES = (16, 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 480, 518)
_SIZE_ERRORS = (RuntimeError, ValueError, AssertionError)  # what the networks raise for a wrong size


def architectures() -> list[str]:
    """The networks of torchvision that fit: everything with one output and a linear layer at its end."""
    names = torchvision.models.list_models(module=torchvision.models)
    return [name for name in names if not name.startswith(_EXCLUDED)]


def make_network(arch: str, size: int, num_classes: int) -> nn.Module:
    """A network with random weights, after a look at whether images of the size fit.

    Raises:
        ConfigError: no such network, or nothing is left of images of this size.
    """
    known = architectures()
    if arch not in known:
        hint = nearest(arch, known) or f"; there are {', '.join(known)}"
        raise ConfigError(
            f"model.arch={arch}: no such network, or its last layer is not one linear layer{hint}"
        )
    try:
        network = _torchvision_network(arch, size, num_classes)
        output_shape(network, size)
    except _SIZE_ERRORS as error:
        reason = one_line(error, most=120)
        raise ConfigError(
            f"model.image_size={size}: {arch} cannot take it ({reason}); "
            f"these would do: {', '.join(map(str, _sizes_that_do(arch, size)))}"
        ) from error
    return network


def _torchvision_network(arch: str, size: int, num_classes: int) -> nn.Module:
    options: dict[str, Any] = {}
    if arch.startswith("vit_"):
        options["image_size"] = size
    elif arch.startswith("maxvit"):
        options["input_size"] = (size, size)
    network = torchvision.models.get_model(arch, weights=None, num_classes=num_classes, **options)
    assert isinstance(network, nn.Module)
    return network


def output_shape(network: nn.Module, size: int) -> torch.Size:
    """What one image of this size becomes. Shapes alone pass through; nothing is computed."""
    tensors = {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    image = torch.empty((1, 3, size, size), device="meta")
    training = network.training
    try:
        output = torch.func.functional_call(network.eval(), tensors, (image,))
    finally:
        network.train(training)
    assert isinstance(output, Tensor)
    return torch.Size(output.shape[1:])


def _sizes_that_do(arch: str, wrong: int) -> list[int]:
    """The three nearest sizes, of the usual ones, that a network takes."""
    fits: list[int] = []
    for size in sorted(_USUAL_SIZES, key=lambda size: abs(size - wrong)):
        try:
            output_shape(_torchvision_network(arch, size, num_classes=2), size)
        except _SIZE_ERRORS:
            continue
        fits.append(size)
        if len(fits) == 3:
            break
    return sorted(fits)


def cut(network: nn.Module) -> tuple[nn.Module, nn.Sequential, nn.Linear, dict[str, str]]:
    """Splits a network of torchvision before its last child and before its last layer.

    Returns:
        Body, hidden, head, and torchvision's names of all tensors -> the names behind the cut.
    """
    last_name, last = list(network.named_children())[-1]
    layers = list(last.named_children()) or [("", last)]
    head = layers[-1][1]
    assert isinstance(head, nn.Linear)
    prefixes = {f"{last_name}.{name}".rstrip("."): f"hidden.{i}" for i, (name, _) in enumerate(layers[:-1])}
    prefixes[f"{last_name}.{layers[-1][0]}".rstrip(".")] = "head"
    names = {}
    for name in network.state_dict():
        prefix = next((prefix for prefix in prefixes if name.startswith(f"{prefix}.")), None)
        names[name] = f"body.{name}" if prefix is None else name.replace(prefix, prefixes[prefix], 1)
    setattr(network, last_name, nn.Identity())
    return network, nn.Sequential(*(layer for _, layer in layers[:-1])), head, names
