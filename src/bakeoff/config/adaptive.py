"""The sections of sweeps whose next run depends on results so far: `race` and `tune`.

As in `schema.py`, the comment at a field is what the help says of its key. They are known in their own
command alone, and are no part of a run's config: their words are taken out of the command line before
Hydra reads it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType, QuotedString
from hydra.errors import HydraException
from pydantic import AfterValidator, Field

from bakeoff.config.schema import Count, Positive
from bakeoff.config.strict import STRICT, parse_section
from bakeoff.errors import ConfigError

_URL = "tune.storage"  # as it stands: Hydra cannot read each URL, and an error would show its password
MOST_SEEDS = 1000  # of a setting; so many were never needed
# Keys of `data` that say which validation images there are: whoever is judged by them must agree on these.
OF_VALIDATION_IMAGES = (
    "name", "root", "val_fraction", "classes", "emnist_split", "image_size", "fit",
)  # fmt: skip


def _rising(looks: list[int]) -> list[int]:
    if any(later <= earlier for earlier, later in pairwise(looks)):
        raise ValueError("numbers that rise, as in [3,5,8,12]")
    return looks


@dataclass
class RaceConfig:
    """How models race: when to look, and when to stop."""

    __pydantic_config__ = STRICT

    # Numbers of seeds after which the race looks at the validation images; fixed before it begins.
    looks: Annotated[
        list[Annotated[int, Field(ge=2, le=MOST_SEEDS)]], Field(min_length=1, max_length=20),
        AfterValidator(_rising),
    ] = field(default_factory=lambda: [3, 5, 8, 12])  # fmt: skip
    # Points of a percent below which a difference does not matter; null: no two models are called equal.
    margin_points: Annotated[float, Field(gt=0, lt=100)] | None = None
    # Seconds of work after which no other run starts; null: no limit.
    max_seconds: Positive | None = None
    # Whether the race stops when more seeds would hardly decide it.
    hopeless: bool = True
    # The score that decides.
    metric: Literal["accuracy", "macro_f1", "nll"] = "accuracy"


@dataclass
class TuneConfig:
    """How hyper-parameters are searched."""

    __pydantic_config__ = STRICT

    # Number of trials of each model's study.
    trials: Annotated[int, Field(ge=1, le=10_000)] = 50
    # What is searched for, one or several: val.accuracy, val.macro_f1, val.nll, or a cost as latency.
    metric: str | list[str] = "val.accuracy"
    # How the next trial is chosen: tpe (learns from the trials before), random, grid or cmaes.
    sampler: Literal["tpe", "random", "grid", "cmaes"] = "tpe"
    # Which trials are stopped early: median, hyperband, none; auto: median where epochs tell enough.
    pruner: Literal["auto", "median", "hyperband", "none"] = "auto"
    # Where the study is kept; sqlite or journal: in the sweep's folder; or the URL of a database server.
    storage: Annotated[str, Field(min_length=1)] = "sqlite"
    # A file of conf/search with the keys to search; null: the swept keys, else the family's file.
    search: str | None = None
    # Number of the best configurations that are trained again with new seeds; 0: none.
    confirm: Annotated[int, Field(ge=0, le=100)] = 3
    confirm_seeds: Count = 3  # number of new seeds of each


Section = TypeVar("Section", RaceConfig, TuneConfig)
SECTIONS: dict[str, type[RaceConfig] | type[TuneConfig]] = {"race": RaceConfig, "tune": TuneConfig}


def take_section(name: str, section: type[Section], words: Sequence[str]) -> tuple[Section, list[str]]:
    """Parses the words of a section, and gives the others.

    Args:
        name: of the section, as `race`.
        section: its dataclass.
        words: of a command line, such as `race.looks=[3,5]`.

    Raises:
        ConfigError: a word that cannot be read, an unknown key, or a value that is not allowed.
    """
    own = [word for word in words if _key(word).startswith(f"{name}.") or _key(word) == name]
    values: dict[str, Any] = asdict(section())
    for word in own:
        values[_key(word).removeprefix(f"{name}.")] = _value(word)
    return parse_section(section, values, name), [word for word in words if word not in own]


def refuse_dashes(name: str, words: Sequence[str]) -> None:
    """An option where a key of the section is meant, as `--trials 20`.

    Raises:
        ConfigError: shows the key.
    """
    fields = SECTIONS[name].__dataclass_fields__
    for word in words:
        option, _, value = word.partition("=")
        key = option.removeprefix("--").replace("-", "_")
        if option.startswith("--") and key in fields:
            raise ConfigError(f"{word}: write {name}.{key}={value or 'VALUE'}")


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _value(word: str) -> Any:
    """What Hydra reads as the value of an override."""
    if "." not in _key(word):
        raise ConfigError(f"{word}: {_key(word)} is a section of keys; write {_key(word)}.KEY=VALUE")
    if _key(word) == _URL:
        return _unquoted(word.partition("=")[2])
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except HydraException as error:
        is_cut = "[" in word and "]" not in word
        told = "a list has no spaces, as in race.looks=[3,5,8]" if is_cut else f"write {_key(word)}=VALUE"
        raise ConfigError(f"{word}: cannot be read; {told}") from error
    if override.type is OverrideType.DEL or override.package is not None:
        raise ConfigError(f"{word}: write {_key(word)}=VALUE")
    if override.is_sweep_override():
        value = word.partition("=")[2]
        raise ConfigError(f"{word}: one value; a list is written {_key(word)}=[{value}]")
    parsed: Any = override.value()
    return plain(parsed)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def plain(value: Any) -> Any:
    """A value of Hydra's parser, without the quotes that it keeps."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.text if isinstance(value, QuotedString) else value
