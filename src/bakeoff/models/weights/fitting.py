"""A network's tensors from what a file of weights holds, and the line that says what was done."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bakeoff.errors import DataError
from bakeoff.models.weights.origin import shown_origin
from bakeoff.models.weights.readings import (
    WRAPPING,
    Assigned,
    Reading,
    Target,
    assigned,
    bare_parts,
    best_readings,
    rank,
    some_of,
)


class Fitted(NamedTuple):
    """A file's tensors by the network's names, without those of a last layer that is not wanted."""

    tensors: dict[str, Tensor]
    head: dict[str, Tensor]  # the file's last layer, where it is not wanted
    renamed: tuple[str, ...]  # remarks: what was taken off, and which dict was chosen
    skipped: tuple[str, ...]  # a remark on what was not used, if anything was


def fit(weights: str, content: dict[str, Any], target: Target) -> Fitted:
    """Finds a network's tensors in what a file holds.

    Args:
        weights: what `model.weights` says, for errors.
        content: names to tensors, or to dicts of such, or to anything, which is skipped.
        target: the network.

    Returns:
        All tensors but those that stay, floats as float32.

    Raises:
        DataError: too little fits, several readings fit alike, or a tensor that is not plain or not finite.
    """
    candidates = [assigned(reading, target) for reading in best_readings(content, target)]
    if not candidates:
        inside = f"; it holds {some_of(list(map(str, content)))}" if content else ""
        raise DataError(f"model.weights={weights}: not a state dict (names to tensors){inside}")
    whole = [candidate for candidate in _different(candidates) if not candidate.problem]
    if not whole:
        sized = "pos_embedding [" in candidates[0].problem or "relative_position" in candidates[0].problem
        hint = "; set model.image_size to what they were trained at" if sized else ""
        raise DataError(
            f"model.weights={weights}: these are no weights of {target.title}: {candidates[0].problem}{hint}"
        )
    chosen, *others = whole
    if others and rank(others[0].reading) == rank(chosen.reading):
        raise DataError(
            f"model.weights={weights}: it holds weights of {target.title} twice, {_label(chosen.reading)} "
            f"and {_label(others[0].reading)}; save those that you mean in a file of their own"
        )
    place = chosen.reading.place
    tensors = {own: _plain(weights, name, place[name], target.own[own]) for own, name in chosen.used.items()}
    told = [other.reading.path for other in others]
    skipped = [name for path, name in _beside(content, chosen.reading.path) if path not in told]
    skipped += chosen.skipped
    return Fitted(
        tensors,
        {name: place[name] for name in chosen.head},
        (*_wrapper_remarks(chosen, others), *_prefix_remarks(chosen)),
        (f"{len(skipped)} skipped: {some_of(skipped)}",) if skipped else (),
    )


def note(origin: str, fitted: Fitted, *, kept: bool, there: int | None, here: int) -> str:
    """The line that says what was renamed, what became of the last layer and what was skipped.

    Args:
        origin: of the weights.
        fitted: what was found in them.
        kept: whether the last layer was taken over.
        there: classes of the file's last layer; None where that is not known or of no interest.
        here: classes of the data.
    """
    counts = "" if there is None else f" ({there:,} classes there, {here:,} here)"
    head = "head of the same classes, kept" if kept else f"head new{counts}"
    return ", ".join((f"weights: {shown_origin(origin)}", *fitted.renamed, head, *fitted.skipped))


def _different(candidates: list[Assigned]) -> list[Assigned]:
    """Without readings that take the very tensors of an earlier one."""
    by_tensors: dict[tuple[tuple[str, int], ...], Assigned] = {}
    for one in candidates:
        tensors = tuple(sorted((own, id(one.reading.place[name])) for own, name in one.used.items()))
        by_tensors.setdefault(tensors, one)
    return list(by_tensors.values())


def _label(reading: Reading) -> str:
    names = (*reading.path, f"{reading.prefix}*" if reading.prefix else "")
    return (
        f"'{some_of(['/'.join(name for name in names if name)])}'" if any(names) else "names without a prefix"
    )


def _beside(content: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Path and name of what lies beside the chosen dict, on the way to it."""
    for number, step in enumerate(path):
        yield from (((*path[:number], name), str(name)) for name in content if name != step)
        content = content[step]


def _wrapper_remarks(chosen: Assigned, others: list[Assigned]) -> tuple[str, ...]:
    instead = f" rather than {some_of([_label(other.reading) for other in others])}" if others else ""
    if not chosen.reading.path and not others:
        return ()
    path = chosen.reading.path or ("the file's own names",)
    return (f"from '{some_of(['/'.join(path)])}'{instead}",)


def _prefix_remarks(chosen: Assigned) -> tuple[str, ...]:
    """What came off the names and what was inserted in them, as the file has it."""
    before: dict[str, None] = {}
    inside: dict[str, None] = {}
    older = 0
    for name in chosen.used.values():
        parts = name.split(".")
        bare = tuple(part for part in parts if part not in WRAPPING)
        rest = bare[chosen.reading.prefix.count(".") :]
        # From the end, so that what wraps the whole counts as in front of it.
        left, start = len(rest), len(parts)
        while left:
            start -= 1
            left -= parts[start] not in WRAPPING
        before |= dict.fromkeys(["".join(f"{part}." for part in parts[:start])] if start else [])
        inside |= dict.fromkeys(f"{part}." for part in parts[start:] if part in WRAPPING)
        older += bare_parts(name) != bare
    return (
        *((f"'{some_of(list(before))}' taken off",) if before else ()),
        *((f"'{some_of(list(inside))}' inside of names taken out",) if inside else ()),
        *((f"{older} older names of layers put right",) if older else ()),
    )


def _plain(weights: str, name: str, tensor: Tensor, own: Tensor) -> Tensor:
    """A dense tensor with finite values, floats as float32.

    Raises:
        DataError: anything else.
    """
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not dense or tensor.is_quantized or tensor.is_complex() or tensor.is_nested:
        raise DataError(f"model.weights={weights}: {some_of([name])} is no plain tensor")
    if not tensor.is_floating_point():
        return tensor.detach()
    values = tensor.detach().float()
    if not values.isfinite().all():
        raise DataError(
            f"model.weights={weights}: {some_of([name])} holds values that are not finite in float32"
        )
    return values if own.is_floating_point() else values.round().to(own.dtype)
