"""What of a composed config follows from something else in it: settled once, so that what is stored is true.

A key that another one switches off would else stand in `config.json` as if it had been used.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from bakeoff.config.schema import AugmentConfig
from bakeoff.config.strict import parse_section
from bakeoff.errors import ConfigError


def settle(values: dict[str, Any], overrides: Sequence[str]) -> None:
    """Changes composed values in place.

    * `trainer.overfit_batches` trains without augmentation.
    * `optim.warmup_epochs` on a command line beats the share `optim.warmup` of a recipe.

    Args:
        values: the whole config, plain; not checked yet, so anything may stand in it.
        overrides: the command line that it was composed from.
    """
    data, optim, trainer = (values.get(name) for name in ("data", "optim", "trainer"))
    is_dry_run = isinstance(trainer, dict) and trainer.get("overfit_batches") is not None
    if is_dry_run and isinstance(data, dict) and _is_right(data.get("augment")):
        data["augment"] = dataclasses.asdict(AugmentConfig())
    given = {text.lstrip("+~").partition("=")[0] for text in overrides}
    if isinstance(optim, dict) and "optim.warmup_epochs" in given and "optim.warmup" not in given:
        optim["warmup"] = None


def _is_right(augment: Any) -> bool:
    """What is wrong with a section is left for gate 1 to say."""
    try:
        parse_section(AugmentConfig, augment, "data.augment")
    except (ConfigError, TypeError):
        return False
    return True
