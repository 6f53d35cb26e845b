"""The keys of a command's own section, for its help. No torch here."""

import dataclasses

from bakeoff.commands.train_help import lines_of_keys
from bakeoff.config.adaptive import SECTIONS
from bakeoff.config.meanings import section_meanings


def section_lines(name: str, width: int) -> list[str]:
    """KEY=VALUE and its meaning, for each key of `race` or `tune`.

    Args:
        name: of the section.
        width: columns.
    """
    values = dataclasses.asdict(SECTIONS[name]())
    keys = {f"{name}.{key}": value for key, value in values.items()}
    return lines_of_keys(keys, section_meanings(name), width)
