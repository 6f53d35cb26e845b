"""A whole race of made-up runs: what `bakeoff race` decides, and what `compare` then says of the test images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bakeoff.comparison.statistics.race import Look, Rules, Values, look


@dataclass(frozen=True)
class Raced:
    """How it went."""

    looks: tuple[Look, ...]
    seeds: Mapping[str, int]  # that each setting got

    @property
    def dropped(self) -> list[str]:
        return [drop.setting for each in self.looks for drop in each.drops]


def race(all_values: Mapping[str, Values], rules: Rules) -> Raced:
    """Runs it on the validation values of as many runs as the last look wants."""
    seeds = dict.fromkeys(all_values, 0)
    survivors = list(all_values)
    looks: list[Look] = []
    for number, count in enumerate(rules.looks):
        seeds |= dict.fromkeys(survivors, count)
        seen = {name: runs[: seeds[name]] for name, runs in all_values.items()}
        looks.append(look(seen, survivors, number, rules))
        survivors = [name for name in all_values if name in looks[-1].survivors]
        if looks[-1].verdict is not None:
            break
    return Raced(tuple(looks), seeds)


def reordered(values: Mapping[str, Values], random: np.random.Generator) -> dict[str, Values]:
    """The same settings, named in another order."""
    names = list(values)
    return {names[place]: values[names[place]] for place in random.permutation(len(names))}
