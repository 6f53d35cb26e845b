"""The shared sections of a config: dataclasses with their types and ranges.

These dataclasses are the one source of the shared keys: `defaults()` is what Hydra composes on, and the
comment at a field is what the help says of its key. Gate 1 (`experiment/first_gate.py`) parses them and asks
the data set what its own are. The section `model` is its family's (gate 2), and a plain mapping here.
"""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bakeoff.config.strict import STRICT, parse_section
from bakeoff.errors import ConfigError
from bakeoff.text import printable

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
MOST_JOBS = 1024  # of a sweep at once
MOST_TITLE_CHARACTERS = 100
EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")


def _device(name: object) -> object:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", str(name)):
        meant = f"; did you mean cuda:{name}?" if re.fullmatch(r"\d{1,3}", str(name)) else ""
        raise ValueError(f"auto, cpu, cuda or cuda:N{meant}")
    return name


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError("at most 100 letters, digits, '.', '_' or '-', the first a letter or a digit")
    return name


def _sweep_name(name: str) -> str:
    if name == "latest":
        raise ValueError("another name: latest means the newest sweep")
    return _folder_name(name)


def _title(text: str) -> str:
    if not text.strip() or len(text) > MOST_TITLE_CHARACTERS or printable(text) != text:
        raise ValueError(f"1 to {MOST_TITLE_CHARACTERS} characters that can be printed")
    return text.strip()


@dataclass
class AugmentConfig:
    """Random changes of the training images, drawn anew for each image and epoch."""

    __pydantic_config__ = STRICT

    # Largest shift along each axis; the empty border becomes black.
    shift_pixels: Annotated[int, Field(ge=0, le=64)] = 0
    # Largest angle of a rotation about the centre, in both directions.
    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    # Largest change of the size; 0.1: between 0.9 and 1.1 times the size.
    scale: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    erase: Fraction = 0.0  # probability that a random rectangle of the image becomes black
    # Mirror half of the images, left to right; force: letters and digits too.
    flip: bool | Literal["force"] = False


@dataclass
class DataConfig:
    """Which images, and where they are."""

    __pydantic_config__ = STRICT

    name: str = "mnist"  # the data set; data=NAME chooses it with its augmentation
    root: Annotated[str, Field(min_length=1)] = "${oc.env:BAKEOFF_DATA,data}"  # the folder with the data
    # Name of the data in tables and run directories; null: the name of the folder or of the config.
    title: Annotated[str, AfterValidator(_title)] | None = None
    # Share of the training images that is used for validation; all runs use the same split.
    val_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    # Number of training images, with the proportions of the classes kept; null: all.
    train_limit: Count | None = None
    # Use only these classes, given by number or by name; null: all.
    classes: Annotated[list[int | str], Field(min_length=2)] | None = None
    # Version of EMNIST; only for emnist.
    emnist_split: Literal[EMNIST_SPLITS] = "balanced"  # type: ignore[valid-type]
    image_size: Annotated[int, Field(ge=4, le=4096)] | None = None  # pixels per side; only for image_folder
    fit: Literal["crop", "pad", "stretch"] = "pad"  # how a picture becomes a square; only for image_folder
    # Largest size of a picture that is accepted; only for image_folder.
    max_megapixels: Annotated[float, Field(gt=0, le=10_000)] = 100.0
    skip_broken: bool = False  # leave out pictures that cannot be read; only for image_folder
    # Memory that holds the images during training; auto: the GPU's if there is enough of it.
    residency: Literal["auto", "device", "host"] = "auto"
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class OptimConfig:
    """Optimizer and learning-rate schedule."""

    __pydantic_config__ = STRICT

    name: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"  # the optimizer
    lr: Positive = 1e-3  # highest learning rate of the schedule
    # Strength of the pull of weights towards 0; not for biases and normalisation layers.
    weight_decay: NotNegative = 0.01
    # Momentum of SGD and RMSprop; beta1 of Adam and AdamW.
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    # How the learning rate falls after the warm-up.
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "one_cycle"
    # Share of the epochs in which the learning rate rises; if set, warmup_epochs is ignored.
    warmup: Fraction | None = None
    # Number of epochs in which the learning rate rises.
    warmup_epochs: NotNegative | None = 1.0
    # Epochs between two reductions of the rate; null: a third of all epochs; only with schedule=step.
    step_epochs: Positive | None = None
    # Factor of the learning rate at each reduction; only with schedule=step.
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    clip_norm: Positive | None = 1.0  # largest norm of the whole gradient; null: no limit


@dataclass
class TrainerConfig:
    """The loop: how long, on what, and which weights are kept."""

    __pydantic_config__ = STRICT

    epochs: Count = 6  # passes over the training images
    # Seconds of training, without validation, after which it ends; null: all epochs are done.
    max_seconds: Positive | None = None
    batch_size: Count = 128  # images per optimizer step
    accumulate: Count = 1  # number of parts of a batch, to save memory
    # Images per batch in validation and test; null: as memory allows, at most 512.
    eval_batch_size: Count | None = None
    # auto: a CUDA GPU if there is one, else the CPU.
    device: Annotated[str, BeforeValidator(_device)] = "auto"
    # Number format of the arithmetic; auto: the best one measured for the model on such hardware.
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = (
        True  # memory layout for convolutions: the channels of a pixel side by side, which is faster
    )
    compile: bool = False  # compile the training step; needs a compiler
    threads: Count | None = None  # number of CPU threads; null: one per core
    # Decay of a moving average of the weights, which is then tested and saved; null: no average.
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    # Share of each label that is spread evenly over all classes.
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # Stop after this number of epochs without a better validation accuracy; null: never.
    early_stopping_patience_epochs: Count | None = None
    # The epoch whose weights are tested and saved; best: by validation accuracy.
    select: Literal["best", "last"] = "best"
    deterministic: bool = False  # exactly equal results on the same kind of machine, threads and versions
    # Seconds between two checkpoints, more where saving takes long; null: only when the run is stopped.
    checkpoint_every_seconds: Annotated[float, Field(gt=0)] | None = 60.0
    keep_checkpoints: Count = 2  # number of the newest checkpoints that are kept while the run goes on
    # A quick test run: use only this number of batches to train and validate, and to test.
    overfit_batches: Count | None = None


@dataclass
class SweepConfig:
    """How several runs are done."""

    __pydantic_config__ = STRICT

    # Name of a sweep, or an old one to add to; null: the unfinished one of this command; new: a new one.
    name: Annotated[str, AfterValidator(_sweep_name)] | None = None
    # Number of runs at once; auto: one per core for small models and images, else one; one per GPU.
    jobs: Annotated[int, Field(ge=1, le=MOST_JOBS)] | Literal["auto"] = 1
    # Seconds after which a run is stopped and counts as failed; null: never.
    job_timeout_seconds: Positive | None = None
    # What follows a failed run; stop: those that run are finished, and no other one starts.
    on_failure: Literal["continue", "stop"] = "continue"
    # Which runs are trained again besides the failed ones; diverged: those whose numbers became infinite.
    retry: Literal["none", "diverged"] = "none"
    # If finished runs are of other code; refuse: nothing starts; keep: they are done; rerun: train anew.
    stale: Literal["refuse", "keep", "rerun"] = "refuse"
    # Whether a finished sweep writes report.html; null: if it is a named experiment (experiment=NAME).
    report: bool | None = None


@dataclass
class Config:
    """A whole experiment. `model` is checked by its family."""

    __pydantic_config__ = STRICT

    # Start of all random numbers: first weights, order of images, augmentation, dropout.
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    # Folder in which run directories are made.
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


def parse(values: dict[str, Any]) -> Config:
    """Types and ranges of the shared sections, each alone.

    Raises:
        ConfigError: for the first thing that is not allowed.
    """
    config = parse_section(Config, values, "")
    for key in ("name", "family"):
        if not isinstance(config.model.get(key), str):
            raise ConfigError(f"model.{key}: missing; choose a model, as in model=cnn")
    try:
        _folder_name(config.model["name"])  # run directories are called by it
    except ValueError as error:
        raise ConfigError(f"model.name={json.dumps(config.model['name'])}: must be {error}") from error
    return config


def check_without_validation(trainer: TrainerConfig) -> None:
    """What the loop cannot do if there are no validation images.

    Raises:
        ConfigError: for the first thing that is not allowed.
    """
    if trainer.overfit_batches is not None:
        return
    if trainer.select == "best":
        raise ConfigError("data.val_fraction=0: there is nothing to choose by; add trainer.select=last")
    if trainer.early_stopping_patience_epochs is not None:
        raise ConfigError(
            "trainer.early_stopping_patience_epochs: needs validation images; "
            "set it to null or data.val_fraction above 0"
        )


def check_training(config: Config) -> None:
    """What optimizer and loop ask of each other.

    Raises:
        ConfigError: for the first thing that is not allowed.
    """
    optim, trainer = config.optim, config.trainer
    if trainer.accumulate > trainer.batch_size:
        raise ConfigError(
            f"trainer.accumulate={trainer.accumulate}: more parts than trainer.batch_size="
            f"{trainer.batch_size} has images; lower it"
        )
    if optim.warmup is None and optim.warmup_epochs is not None and optim.warmup_epochs > trainer.epochs:
        raise ConfigError(
            f"optim.warmup_epochs={optim.warmup_epochs:g}: longer than trainer.epochs={trainer.epochs}; "
            "shorten it, or give a share of the run, as in optim.warmup=0.1"
        )
    if optim.schedule != "step" and optim.step_epochs is not None:
        raise ConfigError(
            f"optim.step_epochs={optim.step_epochs:g}: only optim.schedule=step uses it; set it to null"
        )
