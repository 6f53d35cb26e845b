"""What a search may choose from: Hydra's sweep grammar -> dimensions. No torch here."""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    RangeSweep,
    Sweep,
)

from bakeoff.config.adaptive import plain
from bakeoff.errors import ConfigError

EXAMPLE = "as in optim.lr=interval(1e-4,1e-2) or model.depth=choice(2,4,6)"
# An interval whose ends are so many times apart is searched on a logarithmic scale; 0.3 and 3, too.
_WIDE = 10 * (1 - 1e-9)
_MOST_VALUES = 1000  # of a choice
_SCALES = {"log", "linear"}  # tags
# A text that Hydra reads as itself without quotes.
_PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_][\w./-]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool  # whether its logarithm is spread evenly
    is_int: bool

    @property
    def samples(self) -> tuple[float, ...]:
        """Both ends: what is allowed there is so in between."""
        return (int(self.low), int(self.high)) if self.is_int else (float(self.low), float(self.high))

    def __str__(self) -> str:
        return f"{self.low:.12g} to {self.high:.12g}{', log scale' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """Some values, in their order."""

    values: tuple[Any, ...]

    @property
    def samples(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def __str__(self) -> str:
        *first, last = [word(value) for value in self.values]
        return f"{', '.join(first)} or {last}" if first else last


@dataclass(frozen=True)
class Space:
    """Key -> what it may be; the keys are sorted, so the order of a command line makes no difference."""

    dimensions: dict[str, Interval | Choice]

    def words(self, params: Mapping[str, Any]) -> list[str]:
        """Overrides that compose to exactly these values."""
        return [f"{key}={word(params[key])}" for key in self.dimensions]

    def told(self) -> dict[str, str]:
        """For people."""
        return {key: str(dimension) for key, dimension in self.dimensions.items()}

    @property
    def size(self) -> int | None:
        """How many combinations there are; None with an interval of numbers that are not whole."""
        sizes = []
        for one in self.dimensions.values():
            if isinstance(one, Interval) and not one.is_int:
                return None
            sizes.append(int(one.high - one.low) + 1 if isinstance(one, Interval) else len(one.values))
        return math.prod(sizes)

    def without(self, keys: Collection[str]) -> "Space":
        """The rest of it."""
        return Space({key: one for key, one in self.dimensions.items() if key not in keys})

    @property
    def first(self) -> dict[str, Any]:
        """The lower end of each interval and the first value of each choice."""
        return {key: one.samples[0] for key, one in self.dimensions.items()}


def word(value: Any) -> str:
    """A value as Hydra's grammar writes it, and reads exactly it again."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(word, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{word(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return "'" + re.sub(r"(\\+)('|$)", r"\1\1\2", value).replace("'", r"\'") + "'"
    if isinstance(value, float):
        return repr(value)  # the shortest text that is exactly this number
    return value if isinstance(value, str) else json.dumps(value)


def space_of(swept: Sequence[Override]) -> Space:
    """The dimensions that swept words name.

    Raises:
        ConfigError: one that makes no sense in a search.
    """
    found: dict[str, Interval | Choice] = {}
    for override in swept:
        key = override.key_or_group  # `++optim.lr` is `optim.lr`
        if key in found:
            raise ConfigError(f"{override.input_line}: {key} stands there twice; leave one out")
        found[key] = _dimension(override)
    return Space(dict(sorted(found.items())))


def _dimension(override: Override) -> Interval | Choice:
    text, value = override.input_line, override.value()
    tags = getattr(value, "tags", None) or set()
    if unknown := {*map(str, tags)} - _SCALES:
        raise ConfigError(f"{text}: tag {min(unknown)} means nothing here; there are log and linear")
    if getattr(value, "shuffle", False):
        raise ConfigError(f"{text}: the order makes no difference here; leave shuffle out")
    if isinstance(value, Glob):
        raise ConfigError(f"{text}: glob finds names of models alone; list the values, {EXAMPLE}")
    if isinstance(value, IntervalSweep):
        return _interval(text, value, tags)
    if tags:
        raise ConfigError(f"{text}: a scale is of intervals alone, as in tag(log,interval(1e-4,1e-2))")
    if isinstance(value, RangeSweep):
        return _range(text, value)
    assert isinstance(value, ChoiceSweep)
    if any(isinstance(one, Sweep | Glob) for one in value.list):
        raise ConfigError(f"{text}: an interval or a range stands alone, {EXAMPLE}")
    values: list[Any] = []
    for one in map(plain, value.list):
        if not any(one == other and type(one) is type(other) for other in values):
            values.append(one)
    return _choice(text, values)


def _choice(text: str | None, values: Sequence[Any]) -> Choice:
    if not values:
        raise ConfigError(f"{text}: this holds no value; list some, {EXAMPLE}")
    if len(values) > _MOST_VALUES:
        raise ConfigError(f"{text}: more than {_MOST_VALUES:,} values; give an interval, {EXAMPLE}")
    return Choice(tuple(values))


def _interval(text: str | None, value: IntervalSweep, tags: set[str]) -> Interval:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise ConfigError(f"{text}: the first end must be below the second one, as in interval(1e-4,1e-2)")
    if "log" in tags and low <= 0:
        raise ConfigError(f"{text}: a log scale needs ends above 0")
    is_log = "log" in tags or ("linear" not in tags and low > 0 and high >= _WIDE * low)
    is_int = isinstance(low, int) and isinstance(high, int)
    return Interval(low, high, is_log, is_int)


def _range(text: str | None, value: RangeSweep) -> Interval | Choice:
    try:
        values = [*value.range()][: _MOST_VALUES + 1]
    except ValueError as error:  # a step of 0
        raise ConfigError(f"{text}: {error}") from error
    if value.step == 1 and len(values) > 1 and all(isinstance(one, int) for one in values):
        return Interval(values[0], values[-1], log=False, is_int=True)
    if len(values) == 1:
        key, ends = str(text).partition("=")[0], f"{value.start},{value.stop}"
        raise ConfigError(
            f"{text}: this range holds one value, {values[0]}; for any number between write "
            f"{key}=interval({ends})"
        )
    return _choice(text, values)
