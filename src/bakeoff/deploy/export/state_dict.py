"""The weights alone, by the names that other programs know, and a look at whether they fit there."""

import json
from typing import TYPE_CHECKING

import torch
from jaxtyping import UInt8
from torch import Tensor

from bakeoff.deploy.export.metadata import Metadata
from bakeoff.errors import RunsDifferError
from bakeoff.models.base import Classifier
from bakeoff.models.finetune import FineTuned
from bakeoff.models.parts.torchvision_networks import make_network
from bakeoff.models.torchvision_detector import TorchvisionDetector

if TYPE_CHECKING:
    from bakeoff.deploy.trained import Trained

_NETWORK = "network."  # what our names of torchvision's detector begin with


def named_tensors(model: Classifier) -> dict[str, Tensor]:
    """All weights: of torchvision's networks by torchvision's names, of our own by ours."""
    own = model.state_dict()
    if isinstance(model, FineTuned):
        found = {theirs: own[ours] for theirs, ours in model.own_names.items()}
    elif isinstance(model, TorchvisionDetector):
        found = {name.removeprefix(_NETWORK): tensor for name, tensor in own.items()}
    else:
        found = own
    # One layout in memory for all, whatever the run's convolutions had.
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def entries(trained: "Trained", metadata: Metadata) -> dict[str, str]:
    """What the file says of itself, with the preprocessing that a network of torchvision leaves to others.

    `bakeoff.mean` and `bakeoff.std` are of bytes (0 to 255), by channel.
    """
    texts, model = metadata.entries(), trained.model
    if isinstance(model, FineTuned):
        texts |= {
            "bakeoff.arch": model.config.arch,
            "bakeoff.image_size": str(model.config.image_size),
            "bakeoff.mean": json.dumps(model.mean.flatten().tolist()),
            "bakeoff.std": json.dumps(model.std.flatten().tolist()),
        }
    return texts


def check(trained: "Trained", stored: dict[str, Tensor], images: UInt8[Tensor, "n c h w"]) -> float | None:
    """Holds what was written against the model.

    Args:
        trained: the model.
        stored: the file's tensors.
        images: to rate.

    Returns:
        Of a classifier of torchvision the largest difference between a probability of a plain network with
        these weights and the model's own; None where nothing was computed.

    Raises:
        RunsDifferError: tensors that are missing or others.
    """
    model, expected = trained.model, named_tensors(trained.model)
    if stored.keys() != expected.keys() or not all(
        torch.equal(tensor, expected[name]) for name, tensor in stored.items()
    ):
        raise RunsDifferError(f"{trained.run.path}: the file's weights are not those of the run")
    if not isinstance(model, FineTuned):
        return None
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = make_network(model.config.arch, model.config.image_size, len(trained.class_names)).eval()
        network.load_state_dict(stored, strict=True)
        rows = torch.cat([network(model.normalise(some)).softmax(dim=1) for some in images.split(64)])
        own = torch.from_numpy(trained.probabilities(images))
    return float((rows - own).abs().max())
