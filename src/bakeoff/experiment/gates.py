"""The three gates between a config and its training. Nothing is left on disk here.

1. The shared sections, without torch (`first_gate.check_shared`). 2. The model's section against its family
(`models.base.check_model`). 3. What needs the data: the family builds its network for these images.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bakeoff import data
from bakeoff.config.schema import AugmentConfig, Config, check_without_validation
from bakeoff.config.titles import title_of
from bakeoff.data.augment import is_active
from bakeoff.data.few import few_images
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.selection import MEANINGS
from bakeoff.data.sets import find_set
from bakeoff.data.splits import DataSet, channel_statistics
from bakeoff.errors import ResourceError, is_out_of_memory
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import identity, setting
from bakeoff.machine.memory import LiveBytes, host_available_bytes
from bakeoff.machine.runtime import (
    CHANNELS_LAST,
    Runtime,
    device_name,
    num_threads,
    seed_everything,
    set_up,
)
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import doing
from bakeoff.models.base import Classifier, TaskSpec, TrainingSpec, auto_precision, check_model
from bakeoff.models.weights.origin import NONE, origin_of, shown_origin
from bakeoff.runs.records import Origin
from bakeoff.text import counted, one_line
from bakeoff.training.budget import SECONDS_BEFORE_PLAN

SMALLER_MODEL = "choose a smaller model or lower its sizes (model.*), or use a machine with more memory"


@dataclass(frozen=True)
class Prepared:
    """An experiment that passed all gates and has not touched the disk."""

    config: Config
    runtime: Runtime
    data: DataSet
    model: Classifier
    identity: str
    setting: str
    weights: str  # where the first ones came from, as a table shows it
    resumed_from: Origin | None = None  # the stopped run that this one goes on from with another config

    @property
    def name(self) -> str:
        """The model as the user calls it."""
        return str(self.config.model["name"])

    @property
    def title(self) -> str:
        """The data as the user calls them."""
        return title_of(self.config.data)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before it trains."""
        return (*self.data.notes, *self.model.notes, *notes_on(self.config))


def notes_on(config: Config) -> list[str]:
    """What a person should know of the shared sections, whatever the data and the model are."""
    told = []
    optim, seconds = config.optim, config.trainer.max_seconds
    if optim.warmup is not None and optim.warmup_epochs is not None:
        which = f"optim.warmup={optim.warmup:g} counts, not optim.warmup_epochs={optim.warmup_epochs:g}"
        told.append(f"{which}; set one of them to null")
    if seconds is not None and seconds <= SECONDS_BEFORE_PLAN:
        told.append(
            f"trainer.max_seconds={seconds:g}: too short to predict the number of steps (that takes "
            f"{SECONDS_BEFORE_PLAN:g} s), so the learning rate follows trainer.epochs"
        )
    return told


def prepare(
    values: dict[str, Any], dataset: DataSet | None = None, *, weights_follow: bool = False
) -> Prepared:
    """Checks a config, loads its data (unless given) and builds its model, on the device.

    With `weights_follow` the model's first weights are not read, and neither identity nor setting knows them.

    Raises:
        ConfigError: gate 1 (shared sections), 2 (the model's section) or 3 (what needs the data).
        DataError: data missing or damaged.
        ResourceError: not enough memory for the data or the model.
    """
    config = check_shared(values)
    with doing("checking the configuration"):
        family, model_config = check_model(values)
        runtime = set_up(config.trainer, auto_precision(family, model_config))
    check_stop()
    if dataset is None:
        advice = "lower data.image_size or data.train_limit, or close other programs"
        with (
            doing(f"reading {config.data.name}"),
            memory_explained(f"data.name={config.data.name}", "while images were read", advice),
        ):
            dataset = data.load(config.data)
    check_stop()
    if dataset.val is None:
        check_without_validation(config.trainer)
    if config.trainer.overfit_batches is not None:
        dataset = few_images(dataset, config.trainer.overfit_batches * config.trainer.batch_size)
        config.data.augment = AugmentConfig()
    task = dataclasses.replace(_task(dataset, config), weights_follow=weights_follow)
    seed_everything(config.seed)
    training = TrainingSpec(
        len(dataset.train), is_active(config.data.augment), config.trainer.label_smoothing
    )
    name = config.model["name"]
    with (
        doing(f"making the network of model={name}"),
        memory_explained(f"model={name}", "while the network was made", SMALLER_MODEL),
    ):
        model = _on_device(family.build(model_config, task), training, runtime)
    source = data_fingerprint(config.data.name, config.data.root)
    if weights_follow and "weights" in values["model"]:
        values = {**values, "model": {**values["model"], "weights": NONE}}  # they may be gone by now
    return Prepared(
        config,
        runtime,
        dataset,
        model,
        identity(values, source),
        setting(values, source),
        shown_origin(origin_of(values["model"])),
    )


def _on_device(model: Classifier, training: TrainingSpec, runtime: Runtime) -> Classifier:
    model.begin_training(training)
    model = model.to(runtime.device)
    # Weights alone: convolutions follow the layout of their weights.
    return model.to(memory_format=CHANNELS_LAST) if runtime.channels_last else model


@contextmanager
def memory_explained(key: str, when: str, advice: str) -> Iterator[None]:
    """Running out of memory before training is no bug: what it was, and what to lower.

    Raises:
        ResourceError: in place of what allocators raise; on the host also before it gives memory away that
            is not there.
    """
    try:
        with LiveBytes(limit=host_available_bytes(with_swap=True)):
            yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ResourceError(f"{key}: out of memory {when} ({one_line(error)[:160]}); {advice}") from error


def description(prepared: Prepared) -> str:
    """The line that a run starts with."""
    dataset, runtime = prepared.data, prepared.runtime
    sizes = [f"{len(split):,} {MEANINGS[name]}" for name, split in dataset.splits() if split]
    parameters = sum(p.numel() for p in prepared.model.parameters())
    seconds = prepared.config.trainer.max_seconds
    limit = "" if seconds is None else f"; at most {seconds:g} s of training"
    return (
        f"{prepared.name} on {prepared.title}: {parameters:,} parameters; "
        f"{', '.join(sizes[:-1])} and {sizes[-1]} images; "
        f"{runtime.device} ({device_name(runtime.device)}), {counted(num_threads(), 'thread')}, "
        f"{runtime.precision}{limit}"
    )


def _task(dataset: DataSet, config: Config) -> TaskSpec:
    mean, std = channel_statistics(dataset.train)
    return TaskSpec(
        *dataset.image_shape,
        class_names=dataset.class_names,
        mean=tuple(mean),
        std=tuple(std),
        has_ink=find_set(config.data.name).TRAITS.has_ink,
    )
