"""What makes two runs the same run, and two runs the same setting. No torch here.

The identity is a hash of the config as composed (`auto` and null kept), of the data's source files
and of the code that trains. A setting is the identity without seed and code: a row of the table.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from bakeoff.config.canonical import canonical_json, identifying_config
from bakeoff.experiment.code import code_hash
from bakeoff.models.weights.origin import exact_origin, library_version, weights_origin
from bakeoff.runs.records import Origin


def identity(values: dict[str, Any], data_fingerprint: str) -> str:
    """SHA-256 (hex) of config, data and code: equal for runs that must give the same result.

    Raises:
        ConfigError, DataError: weights to begin with that are not there.
    """
    config = _with_origin(identifying_config(values), exact_origin)
    return _digest([config, data_fingerprint, code_hash(values)])


def setting(values: dict[str, Any], data_fingerprint: str) -> str:
    """SHA-256 (hex) of config without seed, and data: equal for runs that differ in luck alone.

    Raises:
        ConfigError, DataError: weights to begin with that are not there.
    """
    config = _with_origin(identifying_config(values), weights_origin)
    config.pop("seed", None)
    return _digest([config, data_fingerprint])


def identity_of_continued(before: str, origin: Origin) -> str:
    """SHA-256 (hex), an identity or a setting, of a run that goes on from another one with another config."""
    return _digest([before, origin.step, origin.changed])


def _with_origin(config: dict[str, Any], origin: Callable[[str], str]) -> dict[str, Any]:
    """Weights from elsewhere count by what they are, not by their path; without the key nothing changes."""
    weights, arch = (config["model"].get(name) for name in ("weights", "arch"))
    if isinstance(weights, str):
        # The library may come to mean other weights by the same word.
        version = library_version(weights, arch if isinstance(arch, str) else None)
        config["model"]["weights"] = f"{weights}:{version}" if version else origin(weights)
    return config


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
