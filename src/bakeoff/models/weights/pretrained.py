"""Weights to begin with: of torchvision, of a file, or of another run. Tensors only, never unpickled.

torchvision's own loaders unpickle by default, so its weights are fetched here through its enums, with
`weights_only=True`, and a file that is there already is checked against its hash as well.
"""

import os
import pickle
import re
import warnings
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import safetensors.torch
import torch
from torch import Tensor
from torchvision.models import WeightsEnum

from bakeoff.data.fetching import fetch_file, side_folder
from bakeoff.data.fingerprint import file_hash
from bakeoff.errors import DataError
from bakeoff.models.weights.origin import NAMES
from bakeoff.runs import rundir
from bakeoff.runs.storage import UnreadableFileError, read_json, sha256_of
from bakeoff.runs.weight_files import read_weights
from bakeoff.text import one_line

_HASH_IN_NAME = re.compile(r"-([a-f0-9]{8,})\.[a-z]+$")
# Files that are older than the names of their layers, which torchvision renames while it loads them
# (torchvision.models.densenet, torchvision.models.vision_transformer).
_OLD_NAMES = (
    (re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$"), r"\1\2"),
    (re.compile(r"^(.*encoder_layer_\d+\.mlp)\.linear_1\.(.+)$"), r"\1.0.\2"),
    (re.compile(r"^(.*encoder_layer_\d+\.mlp)\.linear_2\.(.+)$"), r"\1.3.\2"),
)
_MOST_KEYS_SHOWN = 20
_MIB = 2**20


class Pretrained(NamedTuple):
    """Tensors by name and, of a run, the names of the classes that its head tells apart."""

    tensors: dict[str, Tensor]
    class_names: tuple[str, ...] | None


def read(weights: str) -> Pretrained:
    """Reads a file of tensors or the chosen weights of a run directory.

    Raises:
        DataError: missing, damaged, more than tensors, or a value that is not finite.
    """
    path = Path(weights)
    names = None
    try:
        if path.is_dir():
            tensors = read_weights(path)
            stored = read_json(path / rundir.CONFUSION).get("class_names")
            names = tuple(map(str, stored)) if isinstance(stored, list) else None
        elif path.suffix == ".safetensors":
            tensors = safetensors.torch.load_file(path)
        else:
            tensors = _unpickled_safely(path)
    except (UnreadableFileError, OSError, safetensors.SafetensorError) as error:
        raise DataError(f"model.weights={weights}: cannot be read ({_brief(error)})") from error
    return Pretrained({name: _plain(weights, name, tensor) for name, tensor in tensors.items()}, names)


def fetch(enum: WeightsEnum) -> dict[str, Tensor]:
    """Weights of torchvision, from its cache folder or downloaded into it.

    Raises:
        DataError: they cannot be had; says which file to put where, and what works offline.
    """
    path = _cached(enum)
    folder = path.parent
    found = _HASH_IN_NAME.search(path.name)
    wanted = found.group(1) if found else ""
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: no file; remove it")
    if path.exists() and wanted and not sha256_of(path).startswith(wanted):
        raise DataError(f"{path}: damaged (its SHA-256 does not begin with {wanted}); remove it")
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            most_bytes = int(_MIB * (1.1 * enum.meta["_file_size"] + 1))
            with side_folder(folder) as side:
                new = side / path.name
                fetch_file(enum.url, new, algorithm="sha256", digest=wanted, most_bytes=most_bytes)
                os.replace(new, path)
        # Of a file that is there this asks nobody.
        tensors: dict[str, Tensor] = enum.get_state_dict(progress=False, weights_only=True)
    except (OSError, RuntimeError, HTTPException, EOFError, pickle.UnpicklingError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection of a refusing server
        raise DataError(
            f"model.weights={_name(enum)}: {path.name} is not there and cannot be had ({_brief(error)}); put "
            f"{path.name} (its SHA-256 begins with {wanted}) into {folder}, or use model.weights=none, a "
            "file or a run directory"
        ) from error
    return tensors


def file_sha256(weights: str, enum: WeightsEnum) -> str | None:
    """SHA-256 (hex) of the file that weights came from: they can be told from others of the same name.

    Args:
        weights: what `model.weights` says.
        enum: torchvision's, for a name of its.

    Returns:
        None if the file is gone since it was read: a record must not cost the run.
    """
    path = _cached(enum) if weights in NAMES else Path(weights)
    try:
        return file_hash(path / rundir.WEIGHTS if path.is_dir() else path)
    except DataError:
        return None


def _cached(enum: WeightsEnum) -> Path:
    """Where torch keeps weights that it has fetched."""
    return Path(torch.hub.get_dir()) / "checkpoints" / str(enum.url).rpartition("/")[2]


def modern_name(name: str) -> str:
    """A tensor's name as torchvision's network has it now."""
    for pattern, replacement in _OLD_NAMES:
        name = pattern.sub(replacement, name)
    return name


def misfits(own: dict[str, Tensor], given: dict[str, Tensor]) -> str:
    """What does not fit, by name: missing, unknown, or of another shape; "" if all fits.

    Counters of batch norm may be missing: files that are older than they are have none.
    """
    missing = [name for name in own if name not in given and not name.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in own]
    differing = [
        f"{name} {list(given[name].shape)} instead of {list(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    kinds_of = {name: given[name].is_floating_point() for name in own if name in given}
    wrong = [name for name, is_float in kinds_of.items() if is_float != own[name].is_floating_point()]
    kinds = {"missing": missing, "unknown": unknown, "of another shape": differing, "of another kind": wrong}
    return "; ".join(f"{kind}: {_some(names)}" for kind, names in kinds.items() if names)


def _unpickled_safely(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            # Of a file by another program torch says how it was pickled; what matters is raised.
            warnings.simplefilter("ignore", UserWarning)
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises a dozen kinds for damaged files, with advice to unpickle
        raise DataError(
            f"model.weights={path}: damaged, or no file of tensors alone, and nothing else is read"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(item, Tensor) for item in content.values()):
        inside = f", which holds {_some(list(map(str, content)))}" if isinstance(content, dict) else ""
        raise DataError(f"model.weights={path}: not a state dict (names to tensors){inside}")
    return {str(name): tensor for name, tensor in content.items()}


def _plain(weights: str, name: str, tensor: Tensor) -> Tensor:
    """A dense tensor with finite values, floats as float32.

    Raises:
        DataError: anything else.
    """
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not dense or tensor.is_quantized or tensor.is_complex() or tensor.is_nested:
        raise DataError(f"model.weights={weights}: {name} is no plain tensor")
    if not tensor.is_floating_point():
        return tensor
    values = tensor.float()
    if not values.isfinite().all():
        raise DataError(f"model.weights={weights}: {name} holds values that are not finite in float32")
    return values


def _name(enum: WeightsEnum) -> str:
    return "coco" if enum.name.startswith("COCO") else "imagenet"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_KEYS_SHOWN} more" if len(names) > _MOST_KEYS_SHOWN else ""
    return ", ".join(names[:_MOST_KEYS_SHOWN]) + more


def _brief(error: Exception) -> str:
    return one_line(error) or type(error).__name__
