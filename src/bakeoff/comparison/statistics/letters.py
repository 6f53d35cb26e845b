"""Compact letters: settings that share a letter are tied (Piepho 2004, insert and absorb)."""

from collections.abc import Collection, Sequence
from itertools import count, product
from string import ascii_lowercase


def tie_letters(best_first: Sequence[str], differing: Collection[tuple[str, str]]) -> dict[str, str]:
    """Letters for each setting, `a` for the group of the best.

    Args:
        best_first: all settings.
        differing: pairs that were found to differ.
    """
    groups = [frozenset(best_first)]
    for one, other in differing:
        split = []
        for group in groups:
            split += [group - {one}, group - {other}] if {one, other} <= group else [group]
        groups = [group for group in dict.fromkeys(split) if not any(group < larger for larger in split)]
    place = {setting: number for number, setting in enumerate(best_first)}
    groups.sort(key=lambda group: sorted(place[setting] for setting in group))
    names = ("".join(letters) for size in count(1) for letters in product(ascii_lowercase, repeat=size))
    lettered = list(zip(names, groups, strict=False))
    return {setting: "".join(name for name, group in lettered if setting in group) for setting in best_first}
