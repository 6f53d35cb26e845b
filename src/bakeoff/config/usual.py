"""What of a stored config differs from what its model and data would be trained with. No torch here."""

import re
from contextlib import suppress
from typing import Any

from bakeoff.config.canonical import canonical_json, identifying_config
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import BakeoffError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}")  # of a group's file, and of nothing that acts
_TOLD_ELSEWHERE = ("seed",)


def usual_words(values: dict[str, Any]) -> tuple[list[str], dict[str, Any]] | None:
    """The shortest command line of a run's model and data, and the config that it gives.

    Args:
        values: a stored config, which may be anybody's.

    Returns:
        None if there is no such model or data set here.
    """
    model, data = values.get("model"), values.get("data")
    if not isinstance(model, dict) or not isinstance(data, dict):
        return None
    name = model.get("name")
    # A title is the name of the file in `conf/data`, unless somebody chose another one.
    for choice in dict.fromkeys(str(data.get(key)) for key in ("title", "name")):
        if isinstance(name, str) and _NAME.fullmatch(name) and _NAME.fullmatch(choice):
            words = [f"model={name}", f"data={choice}"]
            with suppress(BakeoffError):
                (job,), _ = expand(parse_arguments(words))
                if job.values["data"]["name"] == data.get("name"):
                    return words, job.values
    return None


def differences(values: dict[str, Any], usual: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys that may change a result -> the config's value and the usual one; None: no such key."""
    own, other = (dotted_keys(identifying_config(config)) for config in (values, usual))
    return {
        key: (own.get(key), other.get(key))
        for key in [*own, *(key for key in other if key not in own)]
        if key not in _TOLD_ELSEWHERE and canonical_json(own.get(key)) != canonical_json(other.get(key))
    }
