"""Config files of one's own (`--config-dir DIR`), before Hydra reads them. No torch here.

YAML can name one part of a file many times over, and name the name again: a file of a kilobyte that fills
all memory. Such a file, and what Hydra would take for something else without a word, is refused here.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override

from bakeoff.config.explain import GROUPS, conf_dir, options
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError
from bakeoff.text import one_line

_MOST_BYTES, _MOST_ALIASES, _MOST_DEPTH = 1_000_000, 50, 30
_FOR_ALL = "# @package _global_"


def search_path(config_dir: str | None, parsed: Sequence[Override]) -> list[str]:
    """The override that lets Hydra find the files of --config-dir."""
    if config_dir is None:
        return []
    if not Path(config_dir).is_dir():
        raise ConfigError(f"--config-dir {config_dir}: no such folder")
    if any(override.key_or_group == "hydra.searchpath" for override in parsed):
        raise ConfigError("--config-dir and hydra.searchpath: give one of them")
    return [f"hydra.searchpath=['file://{Path(config_dir).resolve()}']"]


def check_own_files(folder: str | None, overrides: Sequence[str]) -> None:
    """Reads each chosen file of one's own, and those that its `defaults` choose.

    Raises:
        ConfigError: a file that is no YAML, or that Hydra would take for something else.
    """
    if folder is None:
        return
    for group, name in _chosen(overrides):
        _check(Path(folder), group, name, ())


def family_defaults(folder: str | None, overrides: Sequence[str]) -> dict[str, Any]:
    """The keys of `model` that a model file of one's own leaves out, as the family's own file has them."""
    names = [name for group, name in _chosen(overrides) if group == "model"]
    path = Path(folder or "") / "model" / f"{names[-1]}.yaml" if names else None
    if folder is None or path is None or not path.is_file():
        return {}
    own = _section(path)
    like = model_file_of_family(str(own.get("family")), None)
    standard = _section(conf_dir() / "model" / f"{like}.yaml") if like else {}
    return {key: value for key, value in standard.items() if key not in own}


def model_file_of_family(family: str, folder: str | None) -> str | None:
    """The model file that is called like its family, else the first that has it."""
    names = sorted(options("model", folder), key=lambda name: name != family)  # mostly no other is read
    has_it = (name for name in names if _section(_place("model", name, folder)).get("family") == family)
    return next(has_it, None)


def plain_keys(group: str, name: str, folder: str | None) -> set[str]:
    """The dotted keys that a group's file sets."""
    path = _place(group, name, folder)
    loaded = load_plain(path) if path.is_file() else None
    if not isinstance(loaded, dict):
        return set()
    is_whole = _FOR_ALL in path.read_text("utf-8")
    return set(dotted_keys(loaded if is_whole else {group: loaded}))


def _place(group: str, name: str, folder: str | None) -> Path:
    """Where a group's file is: one's own folder comes first, as for Hydra."""
    own = Path(folder or "") / group / f"{name}.yaml"
    return own if folder is not None and own.is_file() else conf_dir() / group / f"{name}.yaml"


def _chosen(overrides: Sequence[str]) -> list[tuple[str, str]]:
    """`model=a,b` -> ("model", "a"), ("model", "b")."""
    pairs = [text.lstrip("+").partition("=") for text in overrides]
    return [(key, name.strip()) for key, _, value in pairs if key in GROUPS for name in value.split(",")]


def _section(path: Path) -> dict[str, Any]:
    try:
        loaded = load_plain(path)
    except (ConfigError, yaml.YAMLError):  # said when it is chosen
        return {}
    section = loaded.get("model") if isinstance(loaded, dict) else None
    return section if isinstance(section, dict) else {}


def _check(folder: Path, group: str, name: str, above: tuple[Path, ...]) -> None:
    path = folder / group / f"{name}.yaml"
    if not path.is_file():
        if path.exists():
            raise ConfigError(f"{path}: no regular file; a config is a file of text")
        return
    if path in above:
        raise ConfigError(f"{path}: its defaults lead back to itself; take {name} out of them")
    loaded = load_plain(path)
    if loaded is None:
        raise ConfigError(f"{path}: it is empty; write keys into it, or do not choose it")
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: it must hold keys, as in trainer: and below it epochs: 3")
    is_whole = group in ("experiment", "model")
    if is_whole and _FOR_ALL not in path.read_text("utf-8"):
        raise ConfigError(f"{path}, line 1: write {_FOR_ALL} there, else its keys are below {group}.")
    defaults = loaded.get("defaults") or []
    if not isinstance(defaults, list) or not all(isinstance(entry, str | dict) for entry in defaults):
        raise ConfigError(f"{path}: defaults must be a list, as in defaults: [override /optim: sgd]")
    for entry in defaults:
        where, _, name = str(entry).rpartition("/")
        inner = entry if isinstance(entry, dict) else {where or group: name}
        for key, choice in inner.items():
            _check(folder, str(key).removeprefix("override ").strip(" /"), str(choice), (*above, path))


def load_plain(path: Path) -> Any:
    """One file's plain values, numbers as Hydra reads them. Its parts are counted before any of them is made.

    Raises:
        ConfigError: too large, too deep or too many aliases.
        yaml.MarkedYAMLError: it is no YAML; names file and line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if path.stat().st_size > _MOST_BYTES:
                raise ConfigError(
                    f"{path}: larger than {_MOST_BYTES // 1_000_000} MB; this is no config file"
                )
            depth = aliases = 0
            for event in yaml.parse(file, yaml.SafeLoader):
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                aliases += isinstance(event, yaml.AliasEvent)
                where = f"{path}, line {event.start_mark.line + 1}"
                if depth > _MOST_DEPTH:
                    raise ConfigError(f"{where}: nested deeper than {_MOST_DEPTH} levels; make it flatter")
                if aliases > _MOST_ALIASES:
                    raise ConfigError(f"{where}: more than {_MOST_ALIASES} aliases (*name); write values out")
            file.seek(0)
            loaded = yaml.load(file, _StrictLoader)  # noqa: S506 - a SafeLoader
            json.dumps(loaded, default=str)  # an alias within its own anchor makes a ring
            return loaded
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise ConfigError(f"{path}: not plain UTF-8 text; save it as UTF-8") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {one_line(error)}; write plain keys and values") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


class _StrictLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Refuses a key that stands twice, of which YAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See PyYAML.

        Raises:
            yaml.MarkedYAMLError: names the second of two equal keys.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                text = f"{key.value} stands here for a second time; keep one of them"
                raise yaml.MarkedYAMLError(problem=text, problem_mark=key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


# YAML 1.1 takes 1e-3 for a text; OmegaConf, and everybody who writes a learning rate, for a number.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)
