"""Which runs share a table, and which a row of it: what they were tested on, and what `auto` became.

A row is a setting. Where its runs resolved to different kinds of devices or precisions, each of these is a
row of its own. No torch here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from bakeoff.comparison.run import UNKNOWN, Run


class TableRuns(NamedTuple):
    """The runs that were tested on the same images."""

    test_fingerprint: str
    num_images: int
    runs: list[Run]


class RowRuns(NamedTuple):
    """The runs of one row."""

    key: str  # unique in its table: the setting, followed by what was resolved if that parts its runs
    resolved: str  # such as "cuda, bf16"; empty where all runs of the setting resolved alike
    runs: list[Run]


def by_table(runs: Iterable[Run]) -> list[TableRuns]:
    """Groups runs by their test images, labels and classes."""
    by_test: dict[tuple[str, int, bytes], list[Run]] = {}
    for run in runs:
        # Images of one fingerprint have one set of labels and classes; if not, somebody changed a file,
        # and no pair of such runs may be tested.
        seen = run.outcomes
        labels = seen.labels.tobytes() + seen.num_classes.to_bytes(2) if seen else b""
        key = (run.text("fingerprint", "test_split"), run.summary["test"]["num_images"], labels)
        by_test.setdefault(key, []).append(run)
    return [TableRuns(key[0], key[1], members) for key, members in _merged(by_test).items()]


def _merged(by_test: Mapping[tuple[str, int, bytes], list[Run]]) -> dict[tuple[str, int, bytes], list[Run]]:
    """Runs without predictions stand beside those with, if there is one such group."""
    merged = dict(by_test)
    for key, members in by_test.items():
        others = [other for other in merged if other[:2] == key[:2] and other[2]]
        if not key[2] and len(others) == 1:
            order = {id(run): place for place, run in enumerate(members + merged[others[0]])}
            merged[others[0]] = sorted(merged[others[0]] + merged.pop(key), key=lambda run: order[id(run)])
    return merged


def by_row(runs: Iterable[Run]) -> list[RowRuns]:
    """Groups the runs of one table by setting and by what `auto` became."""
    by_setting: dict[str, list[Run]] = {}
    for run in runs:
        by_setting.setdefault(run.summary["setting"], []).append(run)
    rows, keys = [], set(by_setting)
    for setting, members in by_setting.items():
        parts = parted(members, lambda run: (run.device, run.precision))
        if len(parts) == 1:
            rows.append(RowRuns(setting, "", members))
            continue
        for values, part in parts.items():
            key = ":".join((setting, *values))
            while key in keys:  # somebody's setting is called so
                key += "+"
            keys.add(key)
            rows.append(RowRuns(key, ", ".join(dict.fromkeys(values)), part))
    return rows


def parted(runs: Sequence[Run], facts: Callable[[Run], tuple[str, ...]]) -> dict[tuple[str, ...], list[Run]]:
    """Groups runs by what is known of them; those of which it is unknown join, if all others agree."""
    parts: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        parts.setdefault(facts(run), []).append(run)
    known = [{value for value in values if value != UNKNOWN} for values in zip(*parts, strict=True)]
    if all(len(values) <= 1 for values in known):
        return {tuple(next(iter(values), UNKNOWN) for values in known): list(runs)}
    return parts
