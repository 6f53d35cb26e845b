"""What one run trains, as composed. No torch and no Hydra here: who composes nothing does not wait for it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One training run as composed: the config without `hydra`, and the overrides that led to it."""

    values: dict[str, Any]
    overrides: list[str]
    file: str = ""  # that of --config
    file_keys: frozenset[str] = frozenset()  # the keys that it sets
