"""Every model's step and evaluation on a CUDA device that is only pretended; no GPU needed.

The same test runs on a real GPU where there is one, with synchronisation made an error.
"""

import itertools
from collections.abc import Iterable

import pytest
import torch
from fake_cuda import fake_cuda
from omegaconf import OmegaConf
from shipped import CONFIGS, TASKS, TWINS, build_model, shipped_config
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from bakeoff.config.compose import conf_dir
from bakeoff.data.batches import evaluation_batches, plan_epoch, training_batches
from bakeoff.data.splits import TensorSplit
from bakeoff.machine import runtime
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import TaskSpec, TrainingSpec
from bakeoff.models.finetune import FineTuned
from bakeoff.training import loop, optim
from bakeoff.training.state import TrainState, start

# Models whose steps read the device, and why. All others must not.
HOST_READS = {
    "faster_rcnn_resnet50": "torchvision's own loops over images, with shapes that depend on data",
    "lab_faster_rcnn": "the same network",
}
WAITLESS = [name for name in CONFIGS if name not in {*HOST_READS, *TWINS}]


PLAIN = ["data.augment.shift_pixels=2"]
EVERYTHING = [
    *PLAIN,
    "data.augment.rotate_degrees=10",
    "data.augment.scale=0.1",
    "data.augment.erase=0.5",
    "data.augment.flip=force",
    "trainer.ema_decay=0.9",
    "trainer.accumulate=3",
    "optim.name=rmsprop",
]
OPTIONS = {"plain": PLAIN, "everything": EVERYTHING}
SHAPES = {f"{task.channels}x{task.height}x{task.width}": task for task in TASKS}
PRECISIONS = ("fp32", "bf16", "fp16")
RESIDENCIES = ("device", "host")
# One model of each family, whose name is the family's: any two of a situation's four values meet in one of
# these. The slow tier has all combinations.
THOROUGH = {"cnn", "faster_rcnn", "finetune", "vit"}
QUICK = {
    ("plain", "1x28x28", "fp32", "device"),
    ("everything", "1x28x28", "bf16", "host"),
    ("plain", "1x28x28", "fp16", "host"),
    ("everything", "1x8x8", "fp32", "device"),
    ("plain", "1x8x8", "bf16", "device"),
    ("everything", "1x8x8", "fp16", "host"),
    ("plain", "3x32x32", "fp32", "host"),
    ("everything", "3x32x32", "bf16", "device"),
    ("plain", "3x32x32", "fp16", "device"),
}
# Other models of these families meet each value once.
FEW = {
    ("plain", "1x28x28", "fp32", "device"),
    ("everything", "1x8x8", "fp16", "host"),
    ("everything", "3x32x32", "bf16", "device"),
}
ALL = list(itertools.product(OPTIONS, SHAPES, PRECISIONS, RESIDENCIES))
SITUATIONS = [
    pytest.param(
        model_name,
        OPTIONS[names[0]],
        SHAPES[names[1]],
        *names[2:],
        id="-".join((model_name, *names)),
        marks=() if names in (QUICK if model_name in THOROUGH else FEW) else pytest.mark.slow,
    )
    for model_name in WAITLESS
    for names in ALL
]
# Of one family each: what its shipped files leave off.
FAMILY_OPTIONS = [
    ("finetune", ["model.freeze=features"]),
    ("finetune", ["model.backbone_lr_scale=0.1"]),
    ("finetune", ["model.freeze=all_but_head"]),
    ("vit", ["model.stem=convolutional", "model.pooling=class_token", "model.stochastic_depth=0.2"]),
    ("cnn", ["model.norm=group", "model.conv_dropout=0.1", "model.dropout=0.1"]),
]


def one_step(
    model_name: str, task: TaskSpec, where: Runtime, residency: str, overrides: list[str]
) -> tuple[TrainState, int]:
    """A step as `fit` does it, with augmentation and clipping; returns the number of parameters."""
    config = shipped_config(model_name, overrides)
    model = (
        build_model(model_name, task, overrides=tuple(overrides))
        .to(where.device)
        .to(memory_format=torch.channels_last)
    )
    optimizer = optim.make_optimizer(model.parameter_groups(), config.optim)
    state = start(model, optimizer, config.trainer, where)
    pixels = torch.zeros((20, task.channels, task.height, task.width), dtype=torch.uint8)
    split = TensorSplit(pixels, torch.zeros(20, dtype=torch.int64))
    split = split.to(where.device) if residency == "device" else split
    plan = plan_epoch(split, config.data.augment, 0, 1, where.device)
    batch = next(training_batches(split, plan, 8, config.data.augment, where.device))
    assert batch.images.device == batch.labels.device == batch.indices.device == where.device
    optim.set_learning_rate(optimizer, 1e-3)
    reached: list[str] = []
    take_step = state.guard.step

    def step(*arguments: object) -> None:
        reached.extend(name for name, p in model.named_parameters() if p.grad is not None)
        take_step(*arguments)  # type: ignore[arg-type]

    state.guard.step = step  # type: ignore[method-assign]
    loss = loop.train_step(state, batch, config, where)
    assert loss.dtype == torch.float32
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert reached == trainable
    assert all(sums.device == where.device for sums in state.loss_sums.values())
    for tensor in state.judged.state_dict().values():
        assert tensor.device == where.device
    assert (state.loss_scale is not None) == (where.precision == "fp16")
    images = next(evaluation_batches(split, 8, where.device)).images
    model.eval()
    with torch.no_grad(), where.autocast():
        rows = model.probabilities(images)
    assert rows.shape == (8, task.num_classes)
    assert rows.dtype == torch.float32
    assert rows.device == where.device
    return state, len(trainable)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "rng_states", lambda _: {"cpu": torch.get_rng_state()})
    monkeypatch.setattr("bakeoff.training.state.rng_states", lambda _: {})


@pytest.mark.usefixtures("no_driver")
# The copy of the model for the average asks a pretended tensor for its place in memory.
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize(("model_name", "overrides", "task", "precision", "residency"), SITUATIONS)
def test_a_step_stays_on_the_device(
    model_name: str, overrides: list[str], task: TaskSpec, precision: str, residency: str
) -> None:
    with fake_cuda():
        where = Runtime(torch.device("cuda", 0), precision, channels_last=True)
        one_step(model_name, task, where, residency, overrides)


def test_any_two_values_of_a_situation_meet_in_the_quick_tier() -> None:
    def pairs(situations: Iterable[tuple[str, ...]]) -> set[tuple[str, str]]:
        return {pair for names in situations for pair in itertools.combinations(names, 2)}

    assert set(ALL) >= QUICK | FEW
    assert pairs(QUICK) == pairs(ALL)
    assert set().union(*FEW) == set().union(*ALL)
    files = [OmegaConf.load(conf_dir() / "model" / f"{name}.yaml") for name in WAITLESS]
    assert {file.model.family for file in files} == THOROUGH


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize("model_name", sorted(HOST_READS))
def test_a_model_that_reads_the_device_is_listed_for_a_reason(model_name: str) -> None:
    where = Runtime(torch.device("cuda", 0), "fp32", channels_last=True)
    with fake_cuda(), pytest.raises((DataDependentOutputException, DynamicOutputShapeException)):
        one_step(model_name, TASKS[0], where, "device", PLAIN)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model_name", sorted(HOST_READS))
def test_a_step_of_a_model_that_reads_the_device_runs_on_a_real_one(model_name: str) -> None:
    one_step(
        model_name, TASKS[0], Runtime(torch.device("cuda", 0), "fp32", channels_last=True), "device", PLAIN
    )


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(("model_name", "overrides"), FAMILY_OPTIONS, ids=str)
def test_a_step_with_a_familys_options_stays_on_the_device(
    model_name: str, overrides: list[str], precision: str
) -> None:
    with fake_cuda():
        where = Runtime(torch.device("cuda", 0), precision, channels_last=True)
        one_step(model_name, TASKS[0], where, "device", overrides)


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_kept_features_stay_on_the_device(precision: str) -> None:
    """Computed, kept and looked up; the one host read stands at the border of an epoch."""
    with fake_cuda():
        where = Runtime(torch.device("cuda", 0), precision, channels_last=True)
        model = build_model("finetune", TASKS[0], overrides=("model.freeze=all_but_head",))
        model.begin_training(TrainingSpec(20, images_change=False))
        model = model.to(where.device)
        split = TensorSplit(
            torch.zeros((20, 1, 28, 28), dtype=torch.uint8), torch.zeros(20, dtype=torch.int64)
        )
        for batch in evaluation_batches(split.to(where.device), 10, where.device):
            with where.autocast():
                model.losses(batch)
        with pytest.raises(Exception, match=r"_local_scalar_dense|is_nonzero"):
            model.set_epoch(2)
        assert isinstance(model, FineTuned)
        assert model.cache is not None
        model.cache._complete = True
        with where.autocast():
            (loss,) = model.losses(batch).values()
        assert loss.device == where.device
        assert model.cache.num_computed == 20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("overrides", [PLAIN, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("model_name", WAITLESS)
def test_a_step_does_not_wait_for_a_real_device(
    model_name: str, overrides: list[str], precision: str
) -> None:
    where = Runtime(torch.device("cuda", 0), precision, channels_last=True)
    one_step(model_name, TASKS[0], where, "device", overrides)  # allocates and tunes
    torch.cuda.set_sync_debug_mode("error")
    try:
        one_step(model_name, TASKS[0], where, "device", overrides)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_pretended_device_catches_a_host_read_and_a_wrong_device() -> None:
    """The net itself: what it must catch, it catches."""
    with fake_cuda():
        tensor = torch.zeros(3, device="cuda")
        with pytest.raises(Exception, match="_local_scalar_dense"):
            tensor.sum().item()
        with pytest.raises(Exception, match="device"):
            tensor + torch.zeros(3)
