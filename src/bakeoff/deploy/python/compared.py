"""A comparison for Python and notebooks. No torch here; pandas is imported when a table is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.figures import COST_NAMES
from bakeoff.comparison.output.printing import Compared, Writing, read_and_compare, rendered
from bakeoff.comparison.view import View
from bakeoff.deploy.python.borrowed import short_errors
from bakeoff.errors import ConfigError, nearest
from bakeoff.runs.locate import outputs_root, resolve

if TYPE_CHECKING:
    import pandas as pd


_KINDS: dict[str, Any] = {"top": int, "max_latency_ms": (int, float)}  # the others are texts


@dataclass(frozen=True)
class Comparison:
    """Runs in a table, and which differences are more than chance, as `bakeoff.compare` gives it.

    In a notebook it is shown as a table, in a terminal as the text of `bakeoff compare`.
    """

    compared: Compared
    view: View

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each configuration: name, model, seeds, metrics (`accuracy_mean`, `_low`, `_high`)."""
        from bakeoff.comparison.output.frame import settings_frame

        return settings_frame(self.compared.tables)

    @cached_property
    def pairs(self) -> "pd.DataFrame":
        """A row for each tested pair and metric: `difference` is `a` minus `b`, with its interval."""
        from bakeoff.comparison.output.frame import pairs_frame

        return pairs_frame(self.compared.tables)

    @property
    def verdict(self) -> list[str]:
        """What the numbers mean, in sentences; of several test sets each begins with the name of its data."""
        several = len(self.compared.tables) > 1
        return [
            f"{table.title}: {sentence}" if several else sentence
            for table in self.compared.tables
            for sentence in table.verdict
        ]

    @property
    def problems(self) -> list[str]:
        """What is in no table, and why."""
        from bakeoff.comparison.output.render import problem_lines

        return problem_lines(self.compared.problems, self.compared.root)

    def __str__(self) -> str:
        return self._as("table").rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self._as("html")

    def _as(self, kind: str) -> str:
        found = self.compared
        return rendered(found.tables, found.problems, Writing(kind), self.view, found.root)


@short_errors
def compare(
    paths: "Sequence[str | Path]",
    options: Mapping[str, Any],
    columns: Any,
    *,
    statistics: bool,
) -> Comparison:
    """See `bakeoff.compare`; `options` are fields of `View`."""
    root = outputs_root()
    _check(options, columns)
    cost = options["cost"]
    names = [name.strip() for name in columns.split(",")] if isinstance(columns, str) else columns
    if cost is not None and cost not in COST_NAMES:
        raise ConfigError(f"cost={cost}: it must be {', '.join(COST_NAMES)}{nearest(cost, list(COST_NAMES))}")
    budget = options["max_latency_ms"]
    if budget is not None and not (statistics and budget > 0):
        raise ConfigError(f"max_latency_ms={budget:g}: milliseconds above 0, and with statistics")
    view = View(**{**options, "cost": cost and COST_NAMES[cost]}, columns=tuple(names))
    return compared_runs([resolve(str(path), root) for path in paths] or [root], view, statistics=statistics)


def _check(options: Mapping[str, Any], columns: object) -> None:
    """What an annotation says and Python does not hold.

    Raises:
        ConfigError: names the argument.
    """
    for name, value in options.items():
        kind = _KINDS.get(name, str)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ConfigError(f"{name}={value!r}: give {'a text' if kind is str else 'a number'}")
    if (top := options["top"]) is not None and top < 1:
        raise ConfigError(f"top={top}: a whole number above 0")
    if not isinstance(columns, str | list | tuple) or not all(isinstance(name, str) for name in columns):
        raise ConfigError(f"columns={columns!r}: give names, as a list of texts")


def compared_runs(paths: Sequence[Path], view: View | None = None, *, statistics: bool = True) -> Comparison:
    """The runs at and below some folders."""
    view = view or View()
    return Comparison(read_and_compare(paths, view, statistics=statistics), view)
