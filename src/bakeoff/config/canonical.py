"""One text for one meaning, and the keys that identify a config. No torch here."""

import copy
import json
from typing import Any

# Keys that say where things lie or how they are stored, and change no result.
_LEFT_OUT = (
    ("output_dir",),
    ("sweep",),
    ("hydra",),
    ("schema",),
    ("data", "root"),
    ("data", "residency"),
    ("model", "cache_bytes"),
)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, and whole floats as integers: one text for one meaning."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def identifying_config(values: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that makes a difference to the result."""
    kept = copy.deepcopy(values)
    for *parents, last in _LEFT_OUT:
        section: Any = kept
        for name in parents:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):  # somebody else's config may hold anything
            section.pop(last, None)
    return kept


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
