"""Weights to begin with: of torchvision, of a file, or of another run. Tensors only, never unpickled.

torchvision's own loaders unpickle by default, so its weights are fetched here through its enums, with
`weights_only=True`, and a file that is there already is checked against its hash as well.
"""

import os
import pickle
import re
import warnings
from argparse import Namespace
from http.client import HTTPException
from pathlib import Path, PosixPath
from typing import Any, NamedTuple
from urllib.error import HTTPError

import numpy as np
import safetensors.torch
import torch
from numpy._core import multiarray
from torch import Tensor
from torch.serialization import safe_globals
from torchvision.models import WeightsEnum

from bakeoff.data.fetching import fetch_file, side_folder
from bakeoff.data.fingerprint import file_hash
from bakeoff.errors import DataError
from bakeoff.models.weights.origin import NAMES
from bakeoff.runs import rundir
from bakeoff.runs.reading import UnreadableFileError, read_json, sha256_of
from bakeoff.runs.weight_files import read_weights
from bakeoff.text import one_line, printable

_HASH_IN_NAME = re.compile(r"-([a-f0-9]{8,})\.[a-z]+$")
# What torch says of an object that it did not make.
_REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed global|whose module)")
_ZIP = b"PK"
# What training programs save beside tensors: their options, a path, a score as a NumPy number. To make one of
# these calls nothing that the file names. NumPy 1 and 2 have two names for the same function.
_PLAIN_VALUES: list[Any] = [
    Namespace,
    PosixPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
    *((multiarray.scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
_MIB = 2**20


class Pretrained(NamedTuple):
    """What a file holds and, of a run, the names of the classes that its head tells apart."""

    content: dict[str, Any]  # tensors by name, or dicts of such, and what else a training program saves
    class_names: tuple[str, ...] | None


def read(weights: str) -> Pretrained:
    """Reads a file of weights, whatever its name ends with, or the chosen weights of a run directory.

    Raises:
        DataError: missing, damaged, or more in it than tensors, numbers, texts and dicts of them.
    """
    path = Path(weights)
    names = None
    content: dict[str, Any]
    try:
        if path.is_dir():
            content = dict(read_weights(path))
            stored = read_json(path / rundir.CONFUSION).get("class_names")
            names = tuple(map(str, stored)) if isinstance(stored, list) else None
        elif _is_safetensors(path):
            content = dict(safetensors.torch.load_file(path))
        else:
            content = _unpickled_safely(path)
    except (UnreadableFileError, OSError, safetensors.SafetensorError) as error:
        raise DataError(f"model.weights={weights}: cannot be read ({_brief(error)})") from error
    return Pretrained(content, names)


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
            f"model.weights={_name(enum)}: {path.name} is missing and cannot be downloaded "
            f"({_brief(error)}); put {path.name} (its SHA-256 begins with {wanted}) into {folder}, or use "
            "model.weights=none, a file or a run directory"
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


def _is_safetensors(path: Path) -> bool:
    """By what the file begins with, since names are given freely: 8 bytes of a length, then JSON."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" or (path.suffix == ".safetensors" and not start.startswith(_ZIP))


def _unpickled_safely(path: Path) -> dict[str, Any]:
    try:
        # Opened here: of a path torch heeds what the name ends with.
        with warnings.catch_warnings(), safe_globals(_PLAIN_VALUES), path.open("rb") as file:
            # Of a file by another program torch says how it was pickled; what matters is raised.
            warnings.simplefilter("ignore", UserWarning)
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises a dozen kinds for damaged files, with advice to unpickle
        found = _REFUSED.search(str(error))
        object_name = printable(one_line(found[1], most=80)) if found else ""
        inside = f" (it holds {object_name}; save its state dict alone)" if object_name else ""
        raise DataError(
            f"model.weights={path}: damaged, or no file of tensors alone, and nothing else is read{inside}"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"model.weights={path}: not a state dict (names to tensors)")
    return content


def _name(enum: WeightsEnum) -> str:
    return "coco" if enum.name.startswith("COCO") else "imagenet"


def _brief(error: Exception) -> str:
    return one_line(error) or type(error).__name__
