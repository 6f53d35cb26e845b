"""One text for one meaning, and the keys that identify a config. No torch here."""

import copy
import fnmatch
import json
from typing import Any

# The one table of what is no part of an identity: where things lie, how they are called, stored, spread over
# processes and searched for. None of it changes what a run computes, up to the last bits (`threads`).
# Some of these keys come with later versions; they are listed so that they never enter.
_LEFT_OUT = (
    "output_dir",
    "sweep",
    "hydra",
    "schema",
    "launcher",
    "tracker",
    "tune",
    "race",
    "data.root",
    "data.residency",
    "data.title",
    "model.cache_bytes",
    "trainer.threads",
    "trainer.eval_batch_size",
    "trainer.processes",
    "trainer.checkpoint_*",
    "trainer.keep_checkpoints",
)
# Limits that are left off unless somebody sets them: without them a run is what it was before there were any.
LEFT_OUT_IF_NULL = ("trainer.max_seconds",)
# What may differ in a run that goes on from a stopped one; it is another run then.
EPOCHS, DEVICE = "trainer.epochs", "trainer.device"
MAY_CHANGE = (EPOCHS, DEVICE)
# What a data set refuses is no part of its runs: such a key may be younger than they are.
_ONLY_OF_PICTURES = ("fit", "max_megapixels")
_PICTURES = "image_folder"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, and whole floats as integers: one text for one meaning."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def identifying_config(values: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that makes a difference to the result."""
    kept = copy.deepcopy(values)
    for dotted in (*_LEFT_OUT, *LEFT_OUT_IF_NULL):
        *parents, last = dotted.split(".")
        section: Any = kept
        for name in parents:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):  # somebody else's config may hold anything
            for key in fnmatch.filter(section, last) if "*" in last else (last,):
                if dotted in _LEFT_OUT or section.get(key) is None:
                    section.pop(key, None)
    data = kept.get("data")
    if isinstance(data, dict) and data.get("name") != _PICTURES:
        for key in _ONLY_OF_PICTURES:
            data.pop(key, None)
    return kept


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
