"""Overrides as Hydra's parser reads them: their values, how many, what they may not set. No torch here."""

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    RangeSweep,
    Sweep,
)
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from bakeoff.config.explain import GROUPS
from bakeoff.config.slips import EXAMPLE
from bakeoff.errors import ConfigError
from bakeoff.runs.paths import expanded

# What of Hydra's own section means something here; anything else would be ignored in silence.
HONOURED_HYDRA_KEYS = ("hydra.mode", "hydra.sweeper.params", "hydra.searchpath", "hydra.verbose")
PATH_KEYS = ("output_dir", "data.root", "model.weights")
_KEYS_OF_GROUPS = {
    "data": "data.train_limit=1000", "model": "model.channels=[8]", "optim": "optim.lr=0.01",
    "trainer": "trainer.epochs=3", "experiment": "trainer.epochs=3",
}  # fmt: skip
# Each takes a tenth of a second to compose: 17 minutes.
MOST_JOBS = 10_000


def with_home(text: str) -> str:
    """`data.root=~/pictures` with the home folder for `~`, which no shell replaces and Hydra cannot read.

    Raises:
        ConfigError: no such user.
    """
    key, equals, value = text.partition("=")
    if key.lstrip("+") not in (*PATH_KEYS, "--config-dir"):
        return text
    return key + equals + re.sub(r"(^|(?<=,))~[^,]*", lambda found: expanded(found[0]), value)


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parses overrides; needs an initialised Hydra."""
    # With the loader the parser knows the groups, which `model=glob(*)` needs.
    return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(list(overrides))


def parses(text: str) -> bool:
    """Whether Hydra can read an override."""
    try:
        parse_overrides([text])
    except HydraException:
        return False
    return True


def first_values(override: Override, most: int) -> list[str]:
    """The first values of a sweep, without making the list of all: it may have any length."""
    value = override.value()
    try:
        values = value.range() if isinstance(value, RangeSweep) else override.sweep_string_iterator()
    except ValueError as error:  # a step of 0
        raise ConfigError(f"{override.input_line}: {error}") from error
    return [str(one) for one in itertools.islice(values, most)]


def refuse_sweeps_without_values(parsed: Sequence[Override]) -> None:
    """Sweeps that Hydra can parse and has no values for.

    Raises:
        ConfigError: an interval, a range among other values, or no value at all.
    """
    for override in parsed:
        value: Any = override.value()
        key = override.key_or_group
        parts = value.list if isinstance(value, ChoiceSweep) else [value]
        example = {"seed": "0,1,2", "optim.lr": "0.001,0.01"}.get(key, "A,B,C")
        listed = f"list the values, as in {key}={example}"
        if any(isinstance(part, IntervalSweep) for part in parts):
            raise ConfigError(
                f"{override.input_line}: no value is drawn from it here; {listed}, or write bakeoff tune"
            )
        if isinstance(value, ChoiceSweep) and any(isinstance(part, Sweep | Glob) for part in parts):
            raise ConfigError(f"{override.input_line}: a range or glob stands alone; {listed}")
        if isinstance(value, Glob) and key not in GROUPS:
            raise ConfigError(f"{override.input_line}: glob finds names of files alone; {listed}")
        if override.is_sweep_override() and not first_values(override, 1):
            raise ConfigError(f"{override.input_line}: this holds no value; {listed}")


def refuse_too_many(parameters: Sequence[Override]) -> None:
    """Counts a sweep's combinations before any of them is made.

    Raises:
        ConfigError: more than anybody waits for.
    """
    swept = [override for override in parameters if override.is_sweep_override()]
    counts = [len(first_values(override, MOST_JOBS + 1)) for override in swept]
    if math.prod(counts) > MOST_JOBS:
        longest = swept[counts.index(max(counts))].input_line
        raise ConfigError(f"{longest}: the sweep has more than {MOST_JOBS:,} runs; give fewer values")


def texts(overrides: Sequence[Override]) -> list[str]:
    """Overrides as they were written."""
    return [override.input_line or "" for override in overrides]


def refuse_hydra_keys(parsed: Sequence[Override]) -> None:
    """What bakeoff does itself.

    Raises:
        ConfigError: a key of Hydra's that would be ignored, no key, or two folders for one sweep.
    """
    for override in parsed:
        key = override.key_or_group
        if key == "sweep.name" and override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: a sweep has one name; leave all but one out")
        if override.is_sweep_override() and (key == "output_dir" or key.startswith("sweep.")):
            raise ConfigError(f"{override.input_line}: a sweep has one value of it; leave all but one out")
        if not key.strip("@") or key == "hydra":
            raise ConfigError(f"{override.input_line}: no such key; {EXAMPLE}")
        if override.package is not None:
            raise ConfigError(f"{override.input_line}: @{override.package} would move its keys; leave it out")
        _refuse_no_section(override)
        if key.startswith(("hydra.", "hydra/")) and not key.startswith(HONOURED_HYDRA_KEYS):
            hint = "; set output_dir= instead" if "dir" in key else ""
            raise ConfigError(f"{override.input_line}: bakeoff makes its own runs and directories{hint}")


def _refuse_no_section(override: Override) -> None:
    """A value where a group wants the name of a file, and the section `sweep` its keys.

    Raises:
        ConfigError: shows what to write.
    """
    value, key = override.value(), override.key_or_group
    if override.type is OverrideType.DEL:
        return
    parts = value.list if isinstance(value, ChoiceSweep) else [value]
    if key == "sweep" and not all(isinstance(part, dict) for part in parts):
        name = f"sweep.name={value}" if isinstance(value, str | int) and value else "sweep.name=NAME"
        raise ConfigError(f"{override.input_line}: sweep is a section of keys; write {name}")
    if key in GROUPS and any(isinstance(part, list | dict) for part in parts):
        raise ConfigError(
            f"{override.input_line}: {key} takes the name of a file; its keys are set one by one, as in "
            f"{_KEYS_OF_GROUPS[key]}"
        )


def refuse_own_directories(base: DictConfig) -> None:
    """An experiment file must not move Hydra's directories either.

    Raises:
        ConfigError: it does.
    """
    hydra = OmegaConf.to_container(base.hydra, resolve=False)
    assert isinstance(hydra, dict)
    if hydra["run"]["dir"] != "${output_dir}" or hydra["output_subdir"] is not None:
        raise ConfigError("hydra.run.dir: bakeoff makes its own directories; set output_dir instead")
