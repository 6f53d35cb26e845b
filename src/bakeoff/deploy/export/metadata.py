"""What an exported file says of itself: texts under keys that begin with `bakeoff.`. No torch here.

A file may come from anybody: what it says is checked for its form here, and printed by `text.printable`
alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bakeoff.machine.version import __version__

SCHEMA = 1
_LONGEST_NAME = 1_000  # characters, of a class or a run
_MOST_CLASSES = 65_536
_LONGEST_SIDE = 4_096  # pixels
_INPUT_KEYS = ("channels", "height", "width")


@dataclass(frozen=True)
class Metadata:
    """Which run a file came from, what goes in, and what the columns that come out are called."""

    run_id: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]  # channels, height, width
    model: str
    data: str
    version: str = __version__  # of bakeoff, that wrote it

    def entries(self) -> dict[str, str]:
        """The texts that are stored."""
        return {
            "bakeoff.schema": str(SCHEMA),
            "bakeoff.version": self.version,
            "bakeoff.run_id": storable(self.run_id),
            "bakeoff.model": storable(self.model),
            "bakeoff.data": storable(self.data),
            "bakeoff.class_names": json.dumps(self.class_names),
            "bakeoff.input": json.dumps(dict(zip(_INPUT_KEYS, self.shape, strict=True))),
        }


def storable(text: str) -> str:
    """A text as these files hold it: names of folders that are no UTF-8 come as lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def from_entries(entries: Mapping[str, str]) -> Metadata:
    """Reads stored texts.

    Raises:
        ValueError: something is missing or of another form, with the reason.
    """
    if "bakeoff.schema" not in entries:
        raise ValueError("bakeoff has not written it (no bakeoff.schema in its metadata)")
    if entries["bakeoff.schema"] != str(SCHEMA):
        raise ValueError(f"its metadata are not of schema {SCHEMA}: a newer version of bakeoff wrote it")
    names = _json(entries, "bakeoff.class_names")
    if not isinstance(names, list) or not 0 < len(names) <= _MOST_CLASSES or not all(map(_is_name, names)):
        raise ValueError("bakeoff.class_names is not a list of names")
    sides = _json(entries, "bakeoff.input")
    if (
        not isinstance(sides, dict)
        or sides.keys() != set(_INPUT_KEYS)
        or not all(map(_is_side, sides.values()))
    ):
        raise ValueError("bakeoff.input is not the channels, height and width of images")
    texts = {key: entries.get(f"bakeoff.{key}", "") for key in ("run_id", "model", "data", "version")}
    if wrong := [key for key, text in texts.items() if not _is_name(text)]:
        raise ValueError(f"bakeoff.{wrong[0]} is missing or too long")
    return Metadata(
        class_names=tuple(names), shape=(sides["channels"], sides["height"], sides["width"]), **texts
    )


def _json(entries: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(entries.get(key, ""))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{key} is missing or damaged") from error


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LONGEST_SIDE
