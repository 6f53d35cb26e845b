"""What `models` and `experiments` print: the headers of config files, all or one. No torch here."""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bakeoff.arguments import Parser, entry, laid_out
from bakeoff.commands.train_help import key_lines
from bakeoff.config.explain import conf_dir, options
from bakeoff.config.meanings import header_of
from bakeoff.config.strict import dotted_keys
from bakeoff.errors import ConfigError, nearest
from bakeoff.terminal import line_width

_COLUMN = 24


def name_parser(group: str, description: str) -> Parser:
    """A parser for one NAME of a group's files, or none."""
    parser = Parser(
        f"bakeoff {group}s",
        description=description,
        epilog=f"example: bakeoff {group}s {'cnn' if group == 'model' else 'quickstart'}",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one {group}, with all that its file sets")
    parser.suggestions = {"name": options(group)}
    return parser


def listed(group: str, name: str | None) -> str:
    """The headers of all files of a group, or one file.

    In a pipe no line is broken.

    Raises:
        ConfigError: no file of this name.
    """
    width = line_width(sys.stdout) or sys.maxsize
    known = options(group)
    if name is not None and name not in known:
        raise ConfigError(f"{name}: no such {group}; there are {', '.join(known)}{nearest(name, known)}")
    if name is not None:
        return _one(group, name, width)
    parts = [_header(group, one, width, short=True) for one in known]
    return "\n\n".join([*parts, laid_out(f"Train one with: bakeoff train {group}=NAME", width)])


def _header(group: str, name: str, width: int, *, short: bool) -> str:
    header = header_of(_path(group, name))
    fields = {key: text for key, text in header.fields.items() if key != "command" or not short}
    lines = [entry(name, header.first_sentence if short else header.says, _COLUMN, width)[2:]]
    lines += [entry(key, text, _COLUMN, width) for key, text in fields.items()]
    return "\n".join(lines)


def _one(group: str, name: str, width: int) -> str:
    loaded = OmegaConf.load(_path(group, name))
    assert isinstance(loaded, DictConfig)
    values = OmegaConf.to_container(loaded)
    assert isinstance(values, dict)
    chosen = {key: value for key, value in values.items() if key not in ("defaults", "hydra")}
    keys = dotted_keys({str(key): value for key, value in chosen.items()})
    lines = [_header(group, name, width, short=False), "", laid_out("What it sets:", width)]
    # In an experiment: files of other groups, then the keys that a sweep varies.
    for item in values.get("defaults", []):
        key, choice = next(iter(item.items())) if isinstance(item, dict) else (str(item), "")
        lines.append(f"  {key.removeprefix('override /')}={choice}")
    swept = OmegaConf.select(loaded, "hydra.sweeper.params") or {}
    lines += [f"  {key}={value}" for key, value in swept.items()]
    lines += key_lines(keys, keys.get("model.family"), width)
    return "\n".join(lines)


def _path(group: str, name: str) -> Path:
    return conf_dir() / group / f"{name}.yaml"
