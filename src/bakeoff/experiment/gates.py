"""The three gates between a config and its training. Nothing is left on disk here.

1. The shared sections, without torch (`first_gate.check_shared`). 2. The model's section against its family
(`models.base.check_model`). 3. What needs the data: the family builds its network for these images.
"""

from dataclasses import dataclass
from typing import Any

from bakeoff import data
from bakeoff.config.schema import AugmentConfig, Config
from bakeoff.data.augment import is_active
from bakeoff.data.few import few_images
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.data.sets import find_set
from bakeoff.data.splits import DataSet, channel_statistics
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import identity, setting
from bakeoff.machine.runtime import (
    CHANNELS_LAST,
    Runtime,
    device_name,
    num_threads,
    seed_everything,
    set_up,
)
from bakeoff.machine.signals import check_stop
from bakeoff.models.base import Classifier, TaskSpec, TrainingSpec, auto_precision, check_model
from bakeoff.models.weights.origin import origin_of, shown_origin


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

    @property
    def name(self) -> str:
        """The model as the user calls it."""
        return str(self.config.model["name"])


def prepare(values: dict[str, Any], dataset: DataSet | None = None) -> Prepared:
    """Checks a config, loads its data (unless given) and builds its model, on the device.

    Raises:
        ConfigError: gate 1 (shared sections), 2 (the model's section) or 3 (what needs the data).
        DataError: data missing or damaged.
    """
    config = check_shared(values)
    family, model_config = check_model(values)
    runtime = set_up(config.trainer, auto_precision(family, model_config))
    check_stop()
    dataset = dataset or data.load(config.data)
    check_stop()
    if config.trainer.overfit_batches is not None:
        dataset = few_images(dataset, config.trainer.overfit_batches * config.trainer.batch_size)
        config.data.augment = AugmentConfig()
    task = _task(dataset, config)
    seed_everything(config.seed)
    model = family.build(model_config, task)
    model.begin_training(
        TrainingSpec(len(dataset.train), is_active(config.data.augment), config.trainer.label_smoothing)
    )
    model = model.to(runtime.device)
    if runtime.channels_last:
        # Weights alone: convolutions follow the layout of their weights.
        model = model.to(memory_format=CHANNELS_LAST)
    source = data_fingerprint(config.data.name, config.data.root)
    return Prepared(
        config,
        runtime,
        dataset,
        model,
        identity(values, source),
        setting(values, source),
        shown_origin(origin_of(values["model"])),
    )


def description(prepared: Prepared) -> str:
    """The line that a run starts with."""
    dataset, runtime = prepared.data, prepared.runtime
    sizes = [f"{len(split):,} {name}" for name, split in dataset.splits() if split]
    parameters = sum(p.numel() for p in prepared.model.parameters())
    return (
        f"{prepared.name} on {dataset.name}: {parameters:,} parameters; images {', '.join(sizes)}; "
        f"{runtime.device} ({device_name(runtime.device)}), {num_threads()} threads, "
        f"{runtime.precision}"
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
