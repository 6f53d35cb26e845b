"""The keys of a command's own section, for its help. No torch here."""

import dataclasses

from bakeoff.commands.train_help import key_lines
from bakeoff.config.adaptive import SECTIONS


def section_lines(name: str, width: int) -> list[str]:
    """KEY=VALUE and its meaning, for each key of `race` or `tune`.

    Args:
        name: of the section.
        width: columns.
    """
    values = dataclasses.asdict(SECTIONS[name]())
    return key_lines({f"{name}.{key}": value for key, value in values.items()}, None, width)
