"""What an override being typed can become: groups, keys and values. No torch here."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from bakeoff.arguments import Parser
from bakeoff.data.sets import set_names

if TYPE_CHECKING:
    from omegaconf import DictConfig

PATH_KEYS = ("output_dir", "data.root")
SET_KEY = "data.name"  # its values are names of files, which no type lists
# Values of keys whose type is any text.
_OF_OPEN_TYPES = {
    "tune.metric": ("val.accuracy", "val.macro_f1", "val.nll", "latency", "parameters", "flops", "memory"),
    "tune.storage": ("sqlite", "journal"),
}


def overrides(command: str, parser: Parser, words: Sequence[str], word: str) -> list[str]:
    """Groups, keys or values for an override, in the config that the words before it compose.

    A section that the command alone has (`race`, `tune`) is completed as the others are.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.object_type import ObjectType
    from hydra.core.override_parser.types import IntervalSweep
    from hydra.types import RunMode
    from omegaconf import open_dict

    from bakeoff.config.adaptive import SECTIONS
    from bakeoff.config.compose import (
        conf_dir,
        parse_arguments,
        register_defaults,
    )
    from bakeoff.config.explain import GROUPS, options
    from bakeoff.config.overrides import parse_overrides
    from bakeoff.config.own_files import search_path

    line = parse_arguments(parser.parse_known_args(words)[1])
    # A path changes no candidate, and its `$HOME`, which the shell would have replaced, is no override.
    given_words = [text for text in line.overrides if text.partition("=")[0] not in PATH_KEYS]
    key, equals, _ = word.partition("=")
    section = SECTIONS.get(command)
    given_words = [text for text in given_words if not (section and text.startswith(f"{command}."))]
    register_defaults()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="bakeoff"):
        parsed = parse_overrides(given_words)
        given = search_path(line.config_dir, parsed)
        for item in parsed:  # of a sweep, as in `model=a,b`, the first value
            if not isinstance(item.value(), IntervalSweep):
                first = next(item.sweep_string_iterator()) if item.is_sweep_override() else None
                given.append(f"{item.get_key_element()}={first}" if first else item.input_line or "")
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", given, RunMode.RUN)
        if section:
            with open_dict(config):
                config[command] = dataclasses.asdict(section())
        if key == "tune.search" and section:
            return _values(config, word, options("search", line.config_dir))
        if equals:
            return _values(config, word, loader.get_group_options(key, ObjectType.CONFIG, "config", given))
        groups = loader.get_group_options("", ObjectType.GROUP, "config", given)
        return _keys(config, word, [group for group in groups if group in GROUPS])


def _keys(config: "DictConfig", word: str, groups: Sequence[str]) -> list[str]:
    """`optim.l` -> `optim.lr=`; a group ends in "=", a section in ".". Hydra's own are refused by train."""
    from omegaconf import OmegaConf

    section, dot, _ = word.rpartition(".")
    node = OmegaConf.select(config, section) if dot else config
    # A list is set as a whole, so it counts as a value.
    marks = {name: "." if OmegaConf.is_dict(value) else "=" for name, value in node.items_ex(resolve=False)}
    found = [f"{section}{dot}{name!s}{mark}" for name, mark in marks.items()]
    found += [] if dot else [f"{group}=" for group in groups]
    return [text for text in found if not text.startswith("hydra")]


def _values(config: "DictConfig", word: str, choices: Sequence[str]) -> list[str]:
    """`model=c` -> `model=cnn`; of a plain key what its type allows, if that is a list, and what it is."""
    from omegaconf import OmegaConf

    key, _, begun = word.partition("=")
    if key in PATH_KEYS or key.startswith("hydra"):
        return []
    values = list(choices)
    if not values:
        now: bool | int | float | str | None = OmegaConf.select(config, key)
        values = list(set_names()) if key == SET_KEY else [*_OF_OPEN_TYPES.get(key, ())]
        values = values or _allowed(_annotation(key))
        values += [] if now is None or isinstance(now, bool) else [str(now)]
    # In a sweep, as in `seed=0,1`, what follows the last comma is being typed.
    done, comma, _ = begun.rpartition(",")
    return [f"{key}={done}{comma}{value}" for value in values if value not in done.split(",")]


def _annotation(key: str) -> Any:
    """The type of a dotted key; None where the dataclasses say nothing, as for a model's own."""
    from bakeoff.config.adaptive import SECTIONS
    from bakeoff.config.schema import Config

    first, *rest = key.split(".")
    kind: Any = SECTIONS.get(first, Config)
    for name in rest if first in SECTIONS else (first, *rest):
        fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
        kind = next((item.type for item in fields if item.name == name), None)
    return kind


def _allowed(kind: Any) -> list[str]:
    """The values of a closed type as an override writes them; of an open type none."""
    if kind in (bool, type(None)):
        return ["true", "false"] if kind is bool else ["null"]
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    # The branches of a union, the type inside an Annotated.
    return [value for part in get_args(kind) for value in _allowed(part)]
