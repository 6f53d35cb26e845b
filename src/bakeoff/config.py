"""The shared sections of a config: dataclasses with their types and ranges, checked strictly.

These dataclasses are the one source of the shared keys: `defaults()` is what Hydra composes on, and
`check()` is gate 1, which needs neither torch nor data. The section `model` belongs to its family
(gate 2, `models/base.py`), so it is a plain mapping here.
"""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from bakeoff.errors import ConfigError, nearest

# A dataclass with this as its __pydantic_config__ refuses unknown keys, a "2" for a 2, and NaN.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Section = TypeVar("Section")
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("auto, cpu, cuda or cuda:N")
    return name


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError("at most 100 letters, digits, '.', '_' or '-', the first a letter or a digit")
    return name


@dataclass
class AugmentConfig:
    """Random changes of the training images, drawn anew for each image and epoch."""

    __pydantic_config__ = STRICT

    # Largest shift along each axis; what moves in is black.
    shift_pixels: Annotated[int, Field(ge=0, le=64)] = 0


@dataclass
class DataConfig:
    """Which images, and where they lie."""

    __pydantic_config__ = STRICT

    name: Literal["mnist", "digits"] = "mnist"
    root: Annotated[str, Field(min_length=1)] = "${oc.env:BAKEOFF_DATA,data}"
    # Share of the training images that is held back for validation, by a split that all runs share.
    val_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    residency: Literal["auto", "device", "host"] = "auto"
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class OptimConfig:
    """Optimizer and learning-rate schedule."""

    __pydantic_config__ = STRICT

    name: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: Positive = 1e-3  # the highest of the schedule
    weight_decay: NotNegative = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # Adam's and AdamW's beta1
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "one_cycle"
    warmup_epochs: NotNegative = 1.0
    step_epochs: Positive | None = None  # of schedule=step; null: a third of the epochs
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.1  # of schedule=step
    clip_norm: Positive | None = 1.0  # largest norm of the whole gradient


@dataclass
class TrainerConfig:
    """The loop: how long, on what, and which weights are kept."""

    __pydantic_config__ = STRICT

    epochs: Count = 6
    batch_size: Count = 128
    device: Annotated[str, AfterValidator(_device)] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    channels_last: bool = True
    threads: Count | None = None  # null: what torch chooses, one a core
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    early_stopping_patience_epochs: Count | None = None
    select: Literal["best", "last"] = "best"
    deterministic: bool = False


@dataclass
class SweepConfig:
    """Names the folder that holds the runs of a sweep."""

    __pydantic_config__ = STRICT

    name: Annotated[str, AfterValidator(_folder_name)] | None = None


@dataclass
class Config:
    """A whole experiment. `model` is checked by its family."""

    __pydantic_config__ = STRICT

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    output_dir: Annotated[str, Field(min_length=1)] = "${oc.env:BAKEOFF_OUTPUTS,outputs}"
    model: dict[str, Any] = field(default_factory=dict)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


def defaults() -> dict[str, Any]:
    """The shared keys with their defaults, as Hydra's lowest layer. `model` is left to its group."""
    values = dataclasses.asdict(Config())
    del values["model"]
    return values


def parse_section(section: type[Section], values: Any, prefix: str) -> Section:
    """Makes a dataclass of plain values; refuses unknown, missing, wrongly typed ones.

    Args:
        section: a dataclass with `__pydantic_config__ = STRICT`.
        values: a mapping of plain values.
        prefix: the dotted name of the section, for the error text; "" for the root.

    Raises:
        ConfigError: names the first bad key, its value, what is allowed and the nearest name.
    """
    try:
        # As JSON, because pydantic's strict mode takes no mapping for a dataclass from Python.
        parsed = TypeAdapter(section).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise ConfigError(_problem(section, error.errors(), prefix)) from error
    if missing := _missing(section, values):
        raise ConfigError(f"{_join(prefix, missing)}: the key is missing; it cannot be removed")
    return parsed


def check(values: dict[str, Any]) -> Config:
    """Gate 1: the shared sections, each alone and against each other.

    Raises:
        ConfigError: for the first thing that is not allowed.
    """
    config = parse_section(Config, values, "")
    for key in ("name", "family"):
        if not isinstance(config.model.get(key), str):
            raise ConfigError(f"model.{key}: missing; choose a model, as in model=cnn")
    data, optim, trainer = config.data, config.optim, config.trainer
    if data.name == "digits" and data.val_fraction != DataConfig.val_fraction:
        raise ConfigError(
            f"data.val_fraction={data.val_fraction}: digits has a stored split of its own; "
            "leave the key alone"
        )
    if data.val_fraction == 0:
        if trainer.select == "best":
            raise ConfigError("data.val_fraction=0: there is nothing to choose by; add trainer.select=last")
        if trainer.early_stopping_patience_epochs is not None:
            raise ConfigError(
                "trainer.early_stopping_patience_epochs: needs validation images; "
                "set it to null or data.val_fraction above 0"
            )
    if optim.warmup_epochs > trainer.epochs:
        raise ConfigError(
            f"optim.warmup_epochs={optim.warmup_epochs:g}: longer than trainer.epochs={trainer.epochs}; "
            "shorten it"
        )
    if optim.schedule != "step" and optim.step_epochs is not None:
        raise ConfigError(
            f"optim.step_epochs={optim.step_epochs:g}: only optim.schedule=step uses it; set it to null"
        )
    return config


def dotted_keys(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested mappings to dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = _join(prefix, str(key))
        if isinstance(value, dict) and value:
            flat |= dotted_keys(value, name)
        else:
            flat[name] = value
    return flat


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _missing(section: Any, values: dict[str, Any]) -> str | None:
    """The first key that the dataclass has and the values lack: `~optim.lr` must not mean a default."""
    for item in dataclasses.fields(section):
        if item.name not in values:
            return item.name
        if dataclasses.is_dataclass(item.type) and (inner := _missing(item.type, values[item.name])):
            return f"{item.name}.{inner}"
    return None


def _known_keys(section: Any, prefix: str) -> list[str]:
    keys: list[str] = []
    for item in dataclasses.fields(section):
        name = _join(prefix, item.name)
        keys += _known_keys(item.type, name) if dataclasses.is_dataclass(item.type) else [name]
    return keys


def _problem(section: Any, errors: list[ErrorDetails], prefix: str) -> str:
    """One line about the first bad key. Each branch of a union has an error of its own."""
    known = _known_keys(section, prefix)
    first = errors[0]
    key = _dotted(first["loc"], prefix, known)
    if first["type"] == "unexpected_keyword_argument":
        (leaf, value), *_ = dotted_keys({key: first["input"]}).items()
        parent = key.rpartition(".")[0]
        siblings = [name for name in known if parent and name.startswith(f"{parent}.")]
        siblings = siblings or list(dict.fromkeys(name.partition(".")[0] for name in known))
        hint = nearest(key, known) or f"; known here: {', '.join(siblings)}"
        return f"{leaf}={json.dumps(value)}: no such key{hint}"
    same = [item for item in errors if _dotted(item["loc"], prefix, known) == key]
    allowed = " or ".join(dict.fromkeys(_allowed(item) for item in same))
    hint = ""
    if first["type"] == "literal_error":
        hint = nearest(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return f"{key}={json.dumps(first['input'])}: must be {allowed}{hint}"


def _dotted(location: tuple[int | str, ...], prefix: str, known: list[str]) -> str:
    """`("channels", "list[int]", 1)` -> `channels[1]`; names of a union's branches are left out."""
    name = prefix
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif name not in known:
            name = _join(name, part)
    return name


def _allowed(item: ErrorDetails) -> str:
    if item["type"] == "dataclass_type":
        return "a section of keys"
    return item["msg"].replace("Input should be ", "").replace("Value error, ", "")
