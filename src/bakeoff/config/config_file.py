"""`--config FILE`: a flat YAML file, or a run's `config.yaml`, as overrides. No torch here.

    model: vit              chooses a file of a group, as on a command line
    data: {name: digits}    chooses it as well; what else stands there changes its keys
    optim.lr: 0.001         one key by its dotted name
    trainer:
      epochs: 3

What the command line says wins: a key beats the same key of the file; `model=vit` beats the file's whole
section `model`, and what vit's own file sets beats the rest.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from bakeoff.config.explain import GROUPS, names, options
from bakeoff.config.own_files import load_plain, model_file_of_family, plain_keys
from bakeoff.config.settled import add_later_meanings
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, DataError
from bakeoff.runs.folders import is_run_dir
from bakeoff.runs.rundir import CONFIG, CONFIG_FOR_PEOPLE

_RUN_FILES = (CONFIG, CONFIG_FOR_PEOPLE)
# Of a run: where it went, which is the new command line's to say.
_NOT_TAKEN_FROM_A_RUN = ("schema", "output_dir", "sweep")


def file_overrides(word: str, given: Sequence[str], own: str | None) -> list[str]:
    """The overrides that a file stands for, without those that the command line beats.

    Args:
        word: the file, or a run directory.
        given: overrides of the command line.
        own: `--config-dir`.

    Raises:
        ConfigError: no such file, or what stands in it is no setting.
    """
    path = _file(word)
    values = _sections(path, load_plain(path))
    beaten = {text.lstrip("+~").partition("=")[0].partition("@")[0] for text in given}
    if "experiment" in beaten:
        raise ConfigError(f"--config {word}: an experiment chooses everything, too; give one of the two")
    chosen = {group: _choice(path, group, values, own) for group in GROUPS if group in values}
    keys = {key: value for group, section in values.items() for key, value in _dotted(group, section)}
    for text in given:
        group, _, name = text.partition("=")
        if group in GROUPS:
            replaced = {key for each in name.split(",") for key in plain_keys(group, each.strip(), own)}
            keys = {
                key: value
                for key, value in keys.items()
                if key not in replaced and not key.startswith(f"{group}.")
            }
    if "optim.warmup_epochs" in beaten:
        beaten.add("optim.warmup")  # two ways to say one thing
    return [
        *(f"{group}={name}" for group, name in chosen.items() if name and group not in beaten),
        *(f"{key}={written(value)}" for key, value in keys.items() if key not in beaten),
    ]


@contextmanager
def naming_file(word: str, keys: Collection[str]) -> Iterator[None]:
    """Says of an error in a value that it came from the file of `--config`.

    Args:
        word: the file.
        keys: those that it sets and that the command line does not.

    Raises:
        ConfigError: as it came, or with the file.
        DataError: the same.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        key = re.match(r"[\w.]*", str(error))
        if key is None or key[0] not in keys:
            raise
        raise type(error)(f"--config {word}: {error}") from error


def _file(word: str) -> Path:
    path = Path(word)
    if path.is_dir() and is_run_dir(path):
        path = path / CONFIG_FOR_PEOPLE
    if path.is_file():
        return path
    if not word.strip():
        raise ConfigError("--config: its file is missing; write --config FILE")
    kind = "no such file"
    if path.is_dir():
        kind = "a folder; give a YAML file, or a run directory"
    elif path.exists():  # a pipe or a device, which cannot be read twice
        kind = "no regular file; give a YAML file, or a run directory"
    raise ConfigError(f"--config {word}: {kind}")


def _sections(path: Path, loaded: Any) -> dict[str, Any]:
    """The file by its keys' first part; of a run what describes the training.

    Raises:
        ConfigError: it holds no keys, or is a file of a group.
    """
    if not isinstance(loaded, dict) or not loaded:
        raise ConfigError(f"{path}: it must hold keys, as in model: vit or optim.lr: 0.01")
    if "defaults" in loaded:
        raise ConfigError(
            f"{path}: a file with defaults is a file of a group; put it into DIR/experiment/ and write "
            f"--config-dir DIR experiment={path.stem}"
        )
    sections: dict[str, Any] = {}
    _refuse_doubled(path, loaded)
    for key, value in loaded.items():
        first, _, rest = str(key).partition(".")
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z_][\w.]*", key):
            meant = names(()).meant(str(key))
            written = "null" if key is None else str(key).lower() if isinstance(key, bool) else key
            raise ConfigError(
                f"{path}: {written}: no such key" + (f"; did you mean {meant}?" if meant else "")
            )
        if not rest:
            merged = sections.get(first)
            sections[first] = {**merged, **value} if merged and isinstance(value, dict) else value
        else:
            section = sections.get(first)
            # `model: vit` beside `model.depth: 2`
            section = section if isinstance(section, dict) else {"": section} if section else {}
            sections[first] = {**section, rest: value}
    if path.name in _RUN_FILES and is_run_dir(path.parent):
        sections = {key: value for key, value in sections.items() if key not in _NOT_TAKEN_FROM_A_RUN}
        add_later_meanings(sections)  # what the run did, whatever today's defaults are
        data = sections.get("data")
        if isinstance(data, dict) and data.get("name") != "image_folder":  # downloads lie where they lie here
            sections["data"] = {key: value for key, value in data.items() if key != "root"}
    return sections


def _refuse_doubled(path: Path, loaded: Mapping[Any, Any]) -> None:
    """One key in two ways of writing: `trainer.epochs: 3` beside `trainer: {epochs: 4}`.

    Raises:
        ConfigError: names the key.
    """
    seen: set[str] = set()
    for key, value in loaded.items():
        for name in dotted_keys({str(key): value}):
            if name in seen:
                raise ConfigError(f"{path}: {name} stands here twice; keep one of them")
            seen.add(name)


def _choice(path: Path, group: str, values: dict[str, Any], own: str | None) -> str | None:
    """The file of a group that a section chooses, by the group's name or by its key `name`."""
    section = values[group]
    if isinstance(section, str):
        return section
    if not isinstance(section, dict) and section is not None:
        raise ConfigError(f"{path}: {group}: give a name, as in {group}: {options(group, own)[0]}, or keys")
    name, family = ((section or {}).get(key) for key in ("name", "family"))
    if chosen := (section or {}).get(""):
        return str(chosen)
    if name in options(group, own):
        return str(name)
    if group != "model" or family is None:
        return None
    if like := model_file_of_family(str(family), own):
        return like
    raise ConfigError(f"{path}: model.family={family}: no model file has it; see bakeoff models")


def _dotted(key: str, value: Any) -> list[tuple[str, Any]]:
    """Keys and plain values of one section; a name alone is the group's choice."""
    if isinstance(value, Mapping):
        return [pair for name, item in value.items() if name for pair in _dotted(f"{key}.{name}", item)]
    return [] if key in GROUPS else [(key, value)]


def written(value: Any) -> str:
    """A plain value in Hydra's grammar; text in quotes, so that nothing in it is read as a sign."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{written(item)}' for key, item in value.items())}}}"
    if isinstance(value, int | float):
        return repr(value)
    return QuotedString(str(value), Quote.double).with_quotes()
