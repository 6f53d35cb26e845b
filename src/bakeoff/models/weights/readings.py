"""Which tensors of a file are which of a network's, in the forms that files of weights have.

Training programs save state dicts inside of other dicts (`state_dict`, `model_ema`), with prefixes
(`module.`, `backbone.`) and beside counters, optimizers and losses. A *reading* of a file is one of the
dicts in it and one prefix. The reading in which the most names and shapes are the network's is taken, so
a prefix comes off only where that helps. Of readings that fit alike, a dict with an average (EMA) comes
first and then the usual names, as timm has it; what is still undecided is refused, not guessed.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from bakeoff.text import one_line, printable

# Names of dicts that hold a state dict, the first ones first (timm.models.load_state_dict).
_ORDER = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "params_ema", "ema", "state_dict",
    "model_state_dict", "model_state", "model", "network", "net", "module", "weights", "params",
)  # fmt: skip
# Tensors of these have the names and shapes of weights, and are none.
_NO_WEIGHTS = re.compile(r"optim|^opt$|sched|scaler|exp_avg|^grad|^callbacks$|^loops$", re.IGNORECASE)
_MOST_LEVELS = 3  # of dicts inside of dicts
# What DataParallel, torch.compile and FSDP add to names, at the beginning or inside; no network has these.
WRAPPING = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# Files that are older than the names of their layers, which torchvision renames while it loads them
# (torchvision.models.densenet, torchvision.models.vision_transformer).
_OLD_NAMES = (
    (re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$"), r"\1\2"),
    (re.compile(r"^(.*encoder_layer_\d+\.mlp)\.linear_1\.(.+)$"), r"\1.0.\2"),
    (re.compile(r"^(.*encoder_layer_\d+\.mlp)\.linear_2\.(.+)$"), r"\1.3.\2"),
)
_MOST_NAMES_SHOWN = 3
_COUNTER = "num_batches_tracked"  # of batch norm: older files have none, frozen norms neither


class Naming(NamedTuple):
    """One way to name a network's tensors in a file."""

    names: dict[str, str]  # in the file -> in the network
    head: str  # what the file's names of the last layer begin with


class Target(NamedTuple):
    """The network that weights are for."""

    title: str
    own: dict[str, Tensor]  # its state, by its own names
    namings: tuple[Naming, ...]
    head: str  # what the network's own names of the last layer begin with
    keeps_head: bool  # whether the file's last layer is wanted
    optional: frozenset[str] = frozenset()  # own names that a file need not have

    def is_head(self, own_name: str) -> bool:
        """Whether a tensor of the network stays as it began."""
        return not self.keeps_head and own_name.startswith(self.head)

    def wanted(self) -> list[str]:
        """The network's own names that a file must have; older files have no counters of batch norm."""
        free = (name for name in self.own if not self.is_head(name) and name not in self.optional)
        return [name for name in free if not name.endswith(_COUNTER)]


class Reading(NamedTuple):
    """One way to read a file."""

    path: tuple[str, ...]
    place: dict[str, Any]
    prefix: str  # without what wrapping adds; "" or with a dot at its end
    naming: Naming


class Assigned(NamedTuple):
    """What the tensors of a reading are; its problem is "" where all fits."""

    reading: Reading
    used: dict[str, str]  # own name -> the file's
    head: list[str]
    skipped: list[str]
    problem: str


def best_readings(content: dict[str, Any], target: Target) -> list[Reading]:
    """The readings with the most names and shapes of the network, the usual ones first.

    Of those that lack something only the first, without a prefix if nothing fits at all; none if there is
    no tensor.
    """
    scores: dict[int, list[Reading]] = defaultdict(list)
    for path, place in _state_dicts(content):
        for naming in target.namings:
            counts = _fitting_by_prefix(place, naming, target) or {"": 0}
            for prefix, count in counts.items():
                scores[count].append(Reading(path, place, prefix, naming))
    if not scores:
        return []
    most = max(scores)
    found = sorted(scores[most], key=rank)
    return found if most >= len(target.wanted()) else found[:1]


def _state_dicts(content: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each dict with a tensor in it, and the names that lead to it. Files may hold one dict in itself."""
    todo: list[tuple[tuple[str, ...], dict[str, Any]]] = [((), content)]
    seen: set[int] = set()
    for path, place in todo:  # grows
        if id(place) in seen:
            continue
        seen.add(id(place))
        if any(isinstance(value, Tensor) for value in place.values()):
            yield path, place
        todo += [
            ((*path, name), value)
            for name, value in place.items()
            if len(path) < _MOST_LEVELS
            and isinstance(name, str)
            and isinstance(value, dict)
            and not _NO_WEIGHTS.search(name)
        ]


def _fitting_by_prefix(place: dict[str, Any], naming: Naming, target: Target) -> dict[str, int]:
    """Prefix -> how many tensors of the network have a name and a shape behind it."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, tensor in place.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            continue
        for prefix, rest in _splits(name):
            own_name = naming.names.get(rest, "")
            if not own_name or target.is_head(own_name) or own_name.endswith(_COUNTER):
                continue
            if _shape(tensor) == target.own[own_name].shape:
                found[prefix].add(own_name)
    return {prefix: len(own_names) for prefix, own_names in found.items()}


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name cut at each of its dots, the whole first, without what wrapping adds."""
    parts = bare_parts(name)
    for place in range(min(len(parts), 30)):  # no network's names are nearly as deep
        yield "".join(f"{part}." for part in parts[:place]), ".".join(parts[place:])


@lru_cache(maxsize=10_000)  # each name is asked for in several readings
def bare_parts(name: str) -> tuple[str, ...]:
    """The parts of a name as torchvision's network has it now, without what wrapping adds."""
    bare = ".".join(part for part in name.split(".") if part not in WRAPPING)
    for pattern, replacement in _OLD_NAMES:
        bare = pattern.sub(replacement, bare)
    return tuple(bare.split("."))


def assigned(reading: Reading, target: Target) -> Assigned:
    """What each tensor of a reading is, and what does not fit."""
    used: dict[str, str] = {}
    head: list[str] = []
    skipped: list[str] = []
    unknown: list[str] = []
    twice: list[str] = []
    for name, value in reading.place.items():
        whole = ".".join(bare_parts(str(name)))
        rest = whole.removeprefix(reading.prefix)
        own_name = reading.naming.names.get(rest)
        wanted = isinstance(name, str) and isinstance(value, Tensor)
        if not wanted or not whole.startswith(reading.prefix):
            skipped.append(str(name))
        elif own_name in used:
            twice.append(f"{used[own_name]} and {name}")
        elif own_name is not None and not target.is_head(own_name):
            used[own_name] = name
        elif own_name is not None or (not target.keeps_head and rest.startswith(reading.naming.head)):
            head.append(name)
        elif rest.endswith(_COUNTER):
            continue
        elif _shape(value) == ():  # a count or a score: no layer has such a weight
            skipped.append(name)
        else:
            unknown.append(name)
    problem = _misfits(reading, target, used, {"unknown": unknown, "there twice": twice})
    return Assigned(reading, used, head, skipped, problem)


def _misfits(reading: Reading, target: Target, used: dict[str, str], more: dict[str, list[str]]) -> str:
    """What does not fit, by kind, with a few names of each and the number of those that fit; "" if all do."""
    in_file = {own_name: name for name, own_name in reading.naming.names.items()}
    wanted = target.wanted()
    missing = [in_file[name] for name in wanted if name not in used]
    shape, kind = [], []
    for own_name, name in used.items():
        given, own = reading.place[name], target.own[own_name]
        if _shape(given) != own.shape:
            shape.append(f"{in_file[own_name]} {list(_shape(given) or ())} instead of {list(own.shape)}")
        elif given.is_complex() or given.is_quantized:
            continue  # refused by name where tensors are taken over
        elif given.is_floating_point() != own.is_floating_point() and not own_name.endswith(_COUNTER):
            # A counter that was averaged with the weights is a fraction.
            kind.append(in_file[own_name])
    kinds = {"missing": missing, **more, "of another shape": shape, "of another kind": kind}
    told = [f"{kind}: {some_of(names)}" for kind, names in kinds.items() if names]
    fitting = len(wanted) - len(missing) - len(shape) - len(kind)
    return "; ".join((*told, f"{fitting:,} of {len(wanted):,} tensors fit")) if told else ""


def rank(reading: Reading) -> tuple[int, ...]:
    """Of readings that fit alike, the lowest counts; those of one rank cannot be told apart."""
    names = reading.path or ("state_dict",)
    return tuple(_ORDER.index(name) if name in _ORDER else len(_ORDER) for name in names)


def some_of(names: list[str]) -> str:
    """The first of many names, each safe to print, and how many more there are."""
    shown = [printable(one_line(name, most=80)) for name in names[:_MOST_NAMES_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _shape(tensor: Tensor) -> tuple[int, ...] | None:
    return None if tensor.is_nested else tuple(tensor.shape)
