"""Putting stored tensors back into what they came from: all of them, or an error that names the piece."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from bakeoff.errors import ResumeError

_MOST_NAMED = 3
_adapter = functools.cache(TypeAdapter)  # making one takes longer than asking it


def check_pieces(expected: Mapping[str, Tensor | None], found: Mapping[str, Tensor], what: str) -> None:
    """Compares names, shapes and dtypes; nothing that is missing gets a default.

    Args:
        expected: tensors of the wanted kind by name; None where any kind will do.
        found: what is stored.
        what: for the error.

    Raises:
        ResumeError: names the first few that are missing, unknown or of another kind.
    """
    for kind, names in (
        ("has no", [name for name in expected if name not in found]),
        ("has an unknown", [name for name in found if name not in expected]),
        ("has another kind of", [name for name in expected if not _alike(expected[name], found.get(name))]),
    ):
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
            raise ResumeError(f"{what} {kind} {', '.join(names[:_MOST_NAMED])}{more}")


def check_kinds(kinds: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Checks plain values, which may come from anybody, before anything computes with them.

    Args:
        kinds: types by name.
        found: plain values; all of the names are there.

    Raises:
        ResumeError: names the first that is of another kind.
    """
    for name, kind in kinds.items():
        try:
            _adapter(kind).validate_json(json.dumps(found[name]), strict=True)
        except ValidationError as error:
            place = ".".join(map(str, (name, *error.errors()[0]["loc"])))
            raise ResumeError(f"the checkpoint's {place} is of another kind than a checkpoint has") from error


@torch.no_grad()
def copy_into(targets: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Overwrites tensors in place, so that device and memory layout stay as they are.

    Raises:
        ResumeError: see `check_pieces`.
    """
    check_pieces(targets, found, what)
    for name, target in targets.items():
        target.copy_(found[name])


def _alike(expected: Tensor | None, found: Tensor | None) -> bool:
    return expected is None or found is None or (expected.shape, expected.dtype) == (found.shape, found.dtype)
