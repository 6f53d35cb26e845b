"""What runs have recorded, as text; what they have not reads so. No torch here."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from bakeoff.comparison.figures import MOST, is_number, value_at
from bakeoff.comparison.run import UNKNOWN, Run
from bakeoff.comparison.tables import SettingRow
from bakeoff.runs.reading import UnreadableFileError, read_bytes
from bakeoff.runs.rundir import LOG
from bakeoff.text import cut, shortened

NOT_RECORDED = "not recorded"
_MAX_LOG_BYTES = 2**26
_MOST_VALUES = 4
_LONGEST = 80  # characters of a value
# The line that a run starts with: now, and as older versions wrote it.
_SIZES = re.compile(
    r"(?P<train>[\d,]+) training(?:, (?P<val>[\d,]+) validation)? and (?P<test>[\d,]+) test images"
    r"|images (?P<train_old>[\d,]+) train, (?:(?P<val_old>[\d,]+) val, )?(?P<test_old>[\d,]+) test"
)


def runs_of(rows: Iterable[SettingRow]) -> list[Run]:
    """All runs of some rows."""
    return [run for row in rows for run in row.members]


def told(values: Iterable[Any]) -> str:
    """Different values in one line; None and "unknown" are what nobody recorded."""
    texts = [
        NOT_RECORDED if value is None or value in (UNKNOWN, "") else cut(plain(value), _LONGEST)
        for value in values
    ]
    return shortened(list(dict.fromkeys(texts)), _MOST_VALUES) or NOT_RECORDED


def plain(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return "none" if value is None else str(value)


def of_config(runs: Sequence[Run], key: str) -> list[Any]:
    """The values of a dotted key."""
    return [value_at(run.config, key) for run in runs]


def of_summary(runs: Sequence[Run], path: str) -> list[float | None]:
    """The numbers at a dotted path of the summaries."""
    found = (value_at(run.summary, path) for run in runs)
    return [value if is_number(value, 0, MOST) else None for value in found]


def of_environment(runs: Sequence[Run], path: str) -> str:
    """What the runs say of their machine and libraries."""
    found = (value_at(run.environment, path) for run in runs)
    return told(value if isinstance(value, str | int | float) else None for value in found)


def num_images(run: Run) -> dict[str, int]:
    """Images of each split, by `train`, `val` and `test`, as far as the run's files say."""
    found = {"test": _count(run.summary, "test.num_images"), "val": _count(run.summary, "val.num_images")}
    try:
        log = read_bytes(run.path / LOG, _MAX_LOG_BYTES).decode("utf-8", "replace")
    except UnreadableFileError:
        log = ""
    for match in _SIZES.finditer(log):
        sizes = {
            name.removesuffix("_old"): int(text.replace(",", ""))
            for name, text in match.groupdict().items()
            if text
        }
        if sizes["test"] == found["test"]:  # else the line is of something else
            found |= sizes
            break
    return {name: count for name, count in found.items() if count is not None}


def _count(summary: dict[str, Any], path: str) -> int | None:
    value = value_at(summary, path)
    return value if type(value) is int and value >= 0 else None
