"""What of a composed config follows from something else in it: settled once, so that what is stored is true.

A key that another one switches off would else stand in `config.json` as if it had been used.
"""

import copy
import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from bakeoff.config.schema import AugmentConfig
from bakeoff.config.strict import parse_section
from bakeoff.config.titles import default_title
from bakeoff.errors import ConfigError
from bakeoff.runs.paths import expanded

_DEFAULT_DATA = "mnist"  # of conf/config.yaml
# The one table of what a missing key meant, by the data set that it is for: key of `data` -> value.
_MEANT_BEFORE = {"image_folder": {"fit": "crop"}}


def settle(
    values: dict[str, Any],
    overrides: Sequence[str],
    data_files: Collection[str] = (),
    data_choice: str | None = None,
) -> None:
    """Changes composed values in place, and refuses what would keep another data set's augmentation.

    * `trainer.overfit_batches` trains without augmentation.
    * `~` in a path is the home folder.
    * A number as a title is a text.
    * Data without a title are called by their folder, or by the file that chose them.
    * `optim.warmup_epochs` on a command line beats the share `optim.warmup` of a recipe.

    Args:
        values: the whole config, plain; not checked yet, so anything may stand in it.
        overrides: the command line that it was composed from.
        data_files: what `data=...` may choose.
        data_choice: what it did choose.

    Raises:
        ConfigError: a data set by its key alone, or the home folder of nobody.
    """
    data, optim, trainer = (values.get(name) for name in ("data", "optim", "trainer"))
    is_dry_run = isinstance(trainer, dict) and trainer.get("overfit_batches") is not None
    if is_dry_run and isinstance(data, dict) and _is_right(data.get("augment")):
        data["augment"] = dataclasses.asdict(AugmentConfig())
    given = {text.lstrip("+~").partition("=")[0] for text in overrides}
    if isinstance(data, dict) and "data.name" in given and not given & {"data", "experiment"}:
        _refuse_name_alone(data.get("name"), data_files)
    for section, key in ((values, "output_dir"), (data, "root"), (values.get("model"), "weights")):
        if isinstance(section, dict) and isinstance(text := section.get(key), str):
            section[key] = expanded(text)
    if isinstance(data, dict) and type(title := data.get("title")) in (int, float):
        data["title"] = str(title)  # data.title=2024
    if isinstance(data, dict) and data.get("title", "") is None:
        # `data=digits data.name=mnist` takes the file's augmentation and another set.
        choice = None if "data.name" in given else data_choice
        data["title"] = default_title(str(data.get("name")), str(data.get("root")), choice)
    if isinstance(optim, dict) and "optim.warmup_epochs" in given and "optim.warmup" not in given:
        optim["warmup"] = None


def add_later_meanings(values: dict[str, Any]) -> None:
    """Adds, in place, keys that are younger than a run and whose default of today is not what was done then.

    Args:
        values: a stored config, plain; anything may stand in it.
    """
    data = values.get("data")
    for name, keys in _MEANT_BEFORE.items():
        if isinstance(data, dict) and data.get("name") == name:
            for key, value in keys.items():
                data.setdefault(key, value)


def with_absolute_paths(values: dict[str, Any], not_paths: Collection[str]) -> dict[str, Any]:
    """A copy for the run directory: `evaluate` in another folder finds what is named.

    Args:
        values: the whole config.
        not_paths: what `model.weights` may say that is no path.
    """
    copied = copy.deepcopy(values)
    for section, key in ((copied.get("data"), "root"), (copied.get("model"), "weights")):
        text = section.get(key) if isinstance(section, dict) else None
        if isinstance(section, dict) and isinstance(text, str) and text not in not_paths:
            section[key] = str(Path(text).absolute())
    return copied


def _refuse_name_alone(name: Any, data_files: Collection[str]) -> None:
    """The augmentation of one data set is not another's: `data.name` changes the name and keeps the rest."""
    if name in data_files and name != _DEFAULT_DATA:
        raise ConfigError(
            f"data.name={name}: alone this would keep another data set's augmentation; write data={name}"
        )


def _is_right(augment: Any) -> bool:
    """What is wrong with a section is left for gate 1 to say."""
    try:
        parse_section(AugmentConfig, augment, "data.augment")
    except (ConfigError, TypeError):
        return False
    return True
