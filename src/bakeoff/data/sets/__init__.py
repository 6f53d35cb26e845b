"""Data sets, a file each, found by its name; the contract of such a file. No torch here.

A file imports what loads torch inside its functions only: gate 1 reads it. It exposes

    TRAITS              what of the set decides which keys and values make sense
    SOURCE              its files, with their hashes and addresses; None where the files are the user's own
    fingerprint(root)   -> SHA-256 (hex) of what the set is made of, known before the files are there
    load(config)        -> DataSet, from files that are all there; raises DataError and ConfigError

It imports by itself all that it runs of the room `data`, because a run's identity counts just that.
"""

import importlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from bakeoff.errors import ConfigError, nearest

if TYPE_CHECKING:
    from bakeoff.config.schema import DataConfig
    from bakeoff.data.sources import Source
    from bakeoff.data.splits import DataSet


@dataclass(frozen=True)
class Traits:
    """What of a data set decides which keys and values make sense."""

    has_text: bool = False  # a mirrored digit or letter is another one or none, so flips are refused
    has_ink: bool = False  # bright writing or drawing on black: an image's object is its ink
    has_own_split: bool = False  # validation images are stored, so `data.val_fraction` says nothing
    may_bring_val: bool = (
        False  # a folder may hold validation images, and `data.val_fraction` says nothing then
    )
    own_keys: tuple[str, ...] = ()  # keys of the section `data` that no other set has


@runtime_checkable
class SetFile(Protocol):
    """What a data set's file exposes."""

    TRAITS: Traits
    SOURCE: "Source | None"

    def fingerprint(self, root: str) -> str:
        """SHA-256 (hex) of what the set is made of."""

    def load(self, config: "DataConfig") -> "DataSet":
        """Reads the files, which are there."""


@cache
def set_names() -> tuple[str, ...]:
    """The data sets that there are, by the alphabet."""
    stems = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return tuple(sorted(stem for stem in stems if stem.isidentifier() and not stem.startswith("_")))


def find_set(name: str) -> SetFile:
    """Imports a data set's file by its name.

    Raises:
        ConfigError: there is no such file.
    """
    known = set_names()
    # The name may come from somebody else's config: only one that the folder lists is imported.
    if name not in known:
        quoted = [f"'{each}'" for each in known]
        raise ConfigError(
            f"data.name={json.dumps(name)}: must be {', '.join(quoted[:-1])} or {quoted[-1]}"
            f"{nearest(name, known)}"
        )
    return cast("SetFile", importlib.import_module(f"bakeoff.data.sets.{name}"))
