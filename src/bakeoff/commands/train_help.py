"""`bakeoff train --help`: options, examples, and every file and key with its meaning. No torch here."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bakeoff.arguments import entry, laid_out
from bakeoff.config.compose import CommandLine, conf_dir, expand
from bakeoff.config.explain import GROUPS, options
from bakeoff.config.meanings import header_of, meanings
from bakeoff.config.strict import dotted_keys

_START = """\
usage: bakeoff train [KEY=VALUE ...] [--multirun] [--dry-run]

Trains a model and writes a run directory.

options:
  -m, --multirun         train all combinations of values such as seed=0,1,2
  --dry-run              check all, say how long it would take, and stop
  --cfg job              print all keys with their values and stop
  --config FILE          settings from a YAML file or a run directory
  -cd, --config-dir DIR  find config files of your own in DIR too
  --debug                show the traceback of an error
  --hydra-help           Hydra's other options

examples:
  bakeoff train                                 the CNN on MNIST
  bakeoff train data=digits                     8x8 digits, no download
  bakeoff train optim=sgd optim.lr=0.05         another optimizer
  bakeoff train model.channels=[16,32] seed=1   another network, another seed
  bakeoff train -m seed=0,1,2 optim=adam,sgd    a sweep, then the comparison
  bakeoff train experiment=quickstart           {num_runs} runs and their table
"""
_GROUPS = {
    "data": "which images",
    "model": "which network, with its own recipe for training",
    "optim": "settings of the optimizer; default: those of the model's recipe",
    "trainer": "settings of the training loop; default: those of the model's recipe",
    "experiment": "a preset: data, model, optimizer and training together",
}
_FILE_COLUMN, _KEY_COLUMN = 24, 36


def help_text(line: CommandLine, width: int) -> str:
    """The whole help; keys and values are those of the command line given with `--help`.

    Args:
        line: what was typed.
        width: columns.

    Raises:
        ConfigError: the command line does not compose.
    """
    parts = [laid_out(_START.format(num_runs=_in_words(_runs_of("quickstart"))), width)]
    for group in GROUPS:
        lines = [
            entry(name, _says(group, name, line), _FILE_COLUMN, width)
            for name in options(group, line.config_dir)
        ]
        title = laid_out(f"{group}=NAME: {_GROUPS[group]}", width)
        parts.append("\n".join([title, *lines, ""]))
    values = expand(line)[0][0].values
    lines = key_lines(dotted_keys(values), values["model"].get("family"), width)
    title = laid_out("Every key with its value and its meaning; KEY=VALUE sets it:", width)
    return "\n".join([*parts, title, *lines])


def key_lines(keys: Mapping[str, Any], family: str | None, width: int) -> list[str]:
    """KEY=VALUE and its meaning, for each dotted key."""
    return lines_of_keys(keys, meanings(family), width)


def lines_of_keys(keys: Mapping[str, Any], told: Mapping[str, str], width: int) -> list[str]:
    """The same with the meanings that are given."""
    return [
        entry(f"{key}={_typed(value)}", told.get(key, ""), _KEY_COLUMN, width) for key, value in keys.items()
    ]


def _says(group: str, name: str, line: CommandLine) -> str:
    own = Path(line.config_dir) / group / f"{name}.yaml" if line.config_dir else None
    path = own if own and own.is_file() else conf_dir() / group / f"{name}.yaml"
    return header_of(path).first_sentence


def _runs_of(experiment: str) -> int:
    """How many runs an experiment trains, by the values that its file sweeps."""
    loaded = OmegaConf.load(conf_dir() / "experiment" / f"{experiment}.yaml")
    swept = OmegaConf.select(loaded, "hydra.sweeper.params") or {}
    return math.prod(len(str(values).split(",")) for values in swept.values())


def _in_words(count: int) -> str:
    return {9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}.get(count, str(count))


def _typed(value: Any) -> str:
    """A value as a command line has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
