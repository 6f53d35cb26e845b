"""The contract of `Classifier`: every shipped model is put through it by itself."""

import copy

import pytest
import torch
from shipped import BY_TIER, CONFIGS, TASKS, build_model, shipped_config

from bakeoff.data.batches import Batch
from bakeoff.data.splits import TensorSplit
from bakeoff.evaluation.prediction import predict
from bakeoff.machine import runtime
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import TaskSpec, find_family
from bakeoff.training import optim
from bakeoff.training.loop import train_step
from bakeoff.training.state import start

CPU = Runtime(torch.device("cpu"), "fp32", channels_last=False)
each_model = pytest.mark.parametrize("model_name", BY_TIER)
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda t: f"{t.channels}x{t.height}x{t.width}")


def some_batch(task: TaskSpec, count: int, seed: int = 0) -> Batch:
    """Random images that carry their class as a bright bar, so that they can be learned."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, task.channels, task.height, task.width)
    images = torch.randint(0, 60, shape, generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % task.num_classes
    for index, label in enumerate(labels.tolist()):
        row = label * task.height // task.num_classes
        images[index, :, row, :] = 250
        images[index, :, :, (3 * label) % task.width] = 200
    return Batch(images, labels, torch.arange(count))


@each_model
@each_task
def test_losses_are_finite_scalars_and_reach_every_trainable_parameter(
    model_name: str, task: TaskSpec
) -> None:
    model = build_model(model_name, task)
    parts = model.losses(some_batch(task, 8))
    assert parts
    assert all(part.ndim == 0 and torch.isfinite(part) for part in parts.values())
    torch.stack(list(parts.values())).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@each_model
@each_task
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_probabilities_are_float32_rows_that_sum_to_at_most_one(
    model_name: str, task: TaskSpec, precision: str
) -> None:
    model = build_model(model_name, task).eval()
    with torch.no_grad(), Runtime(torch.device("cpu"), precision, channels_last=False).autocast():
        rows = model.probabilities(some_batch(task, 5).images)
    assert rows.shape == (5, task.num_classes)
    assert rows.dtype == torch.float32
    assert (rows >= 0).all()
    assert (rows.sum(dim=1) <= 1 + 1e-5).all()


@each_model
def test_all_parameters_are_in_groups_exactly_once_and_only_matrices_decay(model_name: str) -> None:
    model = build_model(model_name, TASKS[0])
    groups = model.parameter_groups()
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert sorted(map(id, grouped)) == sorted(map(id, model.parameters()))
    free = {id(p) for name, p in model.named_parameters() if name in ("positions", "class_token")}
    for group in groups:
        assert all(group["decays"] == (p.ndim > 1 and id(p) not in free) for p in group["params"])


# Steps that a model may take at a third of its rate: six blocks of width 64 begin slowly.
MOST_STEPS = {"lab_vit": 240}
# Many seconds: their families' other models stay in the quick tier.
SLOW_LEARNERS = ("lab_vit", "finetune")


@pytest.mark.parametrize(
    "model_name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_LEARNERS else name for name in BY_TIER],
)
def test_overfits_32_images(model_name: str) -> None:
    """In some number of steps, not in an exact one: batch norm's averages lag behind and dropout throws
    back, and where a run stands after 60 steps depends on how the processor's kernels round."""
    task, config = TASKS[0], shipped_config(model_name, [])
    model, batch = build_model(model_name, task), some_batch(TASKS[0], 32)
    state = start(model, optim.make_optimizer(model.parameter_groups(), config.optim), config.trainer, CPU)
    optim.set_learning_rate(state.optimizer, config.optim.lr / 3)
    num_right = 0
    for step in range(1, MOST_STEPS.get(model_name, 100) + 1):
        train_step(state, batch, config, CPU)
        if step % 10 == 0:
            predictions = predict(model, TensorSplit(batch.images, batch.labels), CPU)
            num_right = int((predictions.probabilities.argmax(axis=1) == predictions.label).sum())
            if num_right == 32:
                break
    assert num_right == 32


@each_model
def test_evaluation_leaves_weights_buffers_mode_and_generators_alone(model_name: str) -> None:
    task = TASKS[0]
    model, batch = build_model(model_name, task).train(), some_batch(task, 6)
    before, generators = copy.deepcopy(model.state_dict()), runtime.rng_states(CPU.device)
    predict(model, TensorSplit(batch.images, batch.labels), CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(generators["cpu"], runtime.rng_states(CPU.device)["cpu"])
    assert model.training


@each_model
def test_an_image_is_rated_alike_alone_and_in_a_batch(model_name: str) -> None:
    model, images = build_model(model_name, TASKS[0]).eval(), some_batch(TASKS[0], 9).images
    with torch.no_grad():
        together = model.probabilities(images)
        alone = torch.cat([model.probabilities(image[None]) for image in images])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)


@each_model
def test_rate_is_both_of_what_it_joins(model_name: str) -> None:
    model, batch = build_model(model_name, TASKS[0]).eval(), some_batch(TASKS[0], 5)
    with torch.no_grad():
        rows, own = model.rate(batch.images, batch.labels)
        assert torch.equal(rows, model.probabilities(batch.images))
        expected = model.extra_scores(batch.images, batch.labels)
    assert own.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in own.items())


@each_model
def test_the_same_seed_builds_the_same_model(model_name: str) -> None:
    first, second = (build_model(model_name, TASKS[0], seed=3).state_dict() for _ in range(2))
    other = build_model(model_name, TASKS[0], seed=4).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


@each_model
def test_explanations_are_one_for_each_image_or_none(model_name: str) -> None:
    model, images = build_model(model_name, TASKS[0]).eval(), some_batch(TASKS[0], 3).images
    overlays = model.explain(images)
    assert len(overlays) in (0, 3)
    for overlay in overlays:
        assert overlay.heat is None or overlay.heat.shape == (28, 28)
        assert len(overlay.boxes) == len(overlay.box_labels) == len(overlay.box_scores)


@pytest.mark.parametrize("model_name", CONFIGS)
def test_its_family_states_precision_and_what_it_refuses(model_name: str) -> None:
    family = find_family(shipped_config(model_name, []).model["family"])
    assert set(family.AUTO_PRECISION) == {"cpu", "cuda"}
    assert set(family.AUTO_PRECISION.values()) <= {"fp32", "bf16"}
    assert isinstance(family.REFUSES, tuple)
