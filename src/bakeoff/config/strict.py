"""Plain values -> dataclasses, strictly: pydantic with our own one-line errors. No torch here."""

import dataclasses
import functools
import json
import re
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from bakeoff.errors import ConfigError, nearest
from bakeoff.text import counted

# A dataclass with this as its __pydantic_config__ refuses unknown keys, a "2" for a 2, and NaN.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Section = TypeVar("Section")


def parse_section(section: type[Section], values: Any, prefix: str) -> Section:
    """Makes a dataclass of plain values; refuses unknown, missing, wrongly typed ones.

    Args:
        section: a dataclass with `__pydantic_config__ = STRICT`.
        values: a mapping of plain values.
        prefix: the dotted name of the section, for the error text; "" for the root.

    Raises:
        ConfigError: names the first bad key, its value, what is allowed and the nearest name.
    """
    try:
        # As JSON, because pydantic's strict mode takes no mapping for a dataclass from Python.
        parsed: Section = _adapter(cast("Any", section)).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise ConfigError(_problem(section, error.errors(), prefix)) from error
    if missing := _missing(section, values):
        raise ConfigError(f"{_join(prefix, missing)}: the key is missing; it cannot be removed")
    return parsed


@functools.cache
def _adapter(section: type[Any]) -> TypeAdapter[Any]:
    """Made once: that takes a hundredth of a second, and a sweep checks hundreds of configs."""
    return TypeAdapter(section)


def dotted_keys(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested mappings to dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = _join(prefix, str(key))
        if isinstance(value, dict) and value:
            flat |= dotted_keys(value, name)
        else:
            flat[name] = value
    return flat


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _missing(section: Any, values: dict[str, Any]) -> str | None:
    """The first key that the dataclass has and the values lack: `~optim.lr` must not mean a default."""
    for item in dataclasses.fields(section):
        if item.name not in values:
            return item.name
        if dataclasses.is_dataclass(item.type) and (inner := _missing(item.type, values[item.name])):
            return f"{item.name}.{inner}"
    return None


def _known_keys(section: Any, prefix: str) -> list[str]:
    keys: list[str] = []
    for item in dataclasses.fields(section):
        name = _join(prefix, item.name)
        keys += _known_keys(item.type, name) if dataclasses.is_dataclass(item.type) else [name]
    return keys


def _problem(section: Any, errors: list[ErrorDetails], prefix: str) -> str:
    """One line about the first bad key. Each branch of a union has an error of its own."""
    known = _known_keys(section, prefix)
    first = errors[0]
    key = _dotted(first["loc"], prefix, known)
    if first["type"] == "unexpected_keyword_argument":
        (leaf, value), *_ = dotted_keys({key: first["input"]}).items()
        parent = key.rpartition(".")[0]
        siblings = [name for name in known if parent and name.startswith(f"{parent}.")]
        siblings = siblings or list(dict.fromkeys(name.partition(".")[0] for name in known))
        hint = nearest(key, known) or f"; known here: {', '.join(siblings)}"
        return f"{leaf}={json.dumps(value)}: no such key{hint}"
    same = [item for item in errors if _dotted(item["loc"], prefix, known) == key]
    allowed = " or ".join(dict.fromkeys(_allowed(item) for item in same))
    hint = ""
    if first["type"] == "literal_error":
        hint = nearest(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return f"{key}={json.dumps(first['input'])}: must be {allowed}{hint}"


def _dotted(location: tuple[int | str, ...], prefix: str, known: list[str]) -> str:
    """`("channels", "list[int]", 1)` -> `channels[1]`; names of a union's branches are left out."""
    name = prefix
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif name not in known:
            name = _join(name, part)
    return name


def _allowed(item: ErrorDetails) -> str:
    if item["type"] == "dataclass_type":
        return "a section of keys"
    limits, value = item.get("ctx", {}), item["input"]
    match item["type"]:
        case "list_type":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return f"a list, as in [{value if is_number else 8}]"
        case "too_short":
            return f"a list with at least {counted(limits['min_length'], 'value')}"
        case "too_long":
            return f"a list with at most {counted(limits['max_length'], 'value')}"
        case "string_too_short":
            return f"a text of at least {counted(limits['min_length'], 'character')}"
        case "string_type":
            return "a text"
        case "bool_type":
            return "true or false"
    return item["msg"].replace("Input should be ", "").replace("Value error, ", "")
