"""The CNN: shapes and counts by hand, options, preprocessing."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.data.batches import Batch
from bakeoff.errors import ConfigError
from bakeoff.models.base import TaskSpec, TrainingSpec
from bakeoff.models.cnn import Cnn, Config, build

NAMES = tuple("0123456789")
GREY = TaskSpec(1, 28, 28, NAMES, mean=(0.25,), std=(0.5,))
TINY = dataclasses.replace(GREY, height=8, width=8)
COLOUR = TaskSpec(3, 32, 20, ("cat", "dog"), mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_labs_network_has_the_parameters_counted_by_hand() -> None:
    lab = Config([32, 64], norm="none", pools=2, global_pool="none", hidden_sizes=[128])
    by_hand = (9 * 32 + 32) + (32 * 9 * 64 + 64) + (64 * 7 * 7 * 128 + 128) + (128 * 10 + 10)
    assert count(build(lab, GREY)) == by_hand == 421_642


def test_shapes_counted_by_hand() -> None:
    config = Config(
        channels=[4, 6],
        kernel_sizes=[5, 3],
        strides=[2, 1],
        paddings=[0, 1],
        pools=[1, 3],
        global_pool="none",
    )
    model = build(config, COLOUR)
    # 32 x 20 -> 14 x 8 (kernel 5, stride 2) -> 14 x 8 -> 4 x 2 (pool 3)
    assert model.blocks(torch.zeros(2, 3, 32, 20)).shape == (2, 6, 4, 2)
    assert model.head[-1].in_features == 6 * 4 * 2


def test_one_number_is_the_same_as_a_list() -> None:
    one, many = (
        Config(kernel_sizes=5, paddings=2, pools=2),
        Config(kernel_sizes=[5] * 4, paddings=[2] * 4, pools=[2] * 4),
    )
    torch.manual_seed(0)
    first = build(one, GREY)
    torch.manual_seed(0)
    second = build(many, GREY)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_own_pools_halve_while_above_seven_pixels() -> None:
    assert build(Config(pools=None), GREY).blocks(torch.zeros(1, 1, 28, 28)).shape[2:] == (7, 7)
    assert build(Config(pools=None), TINY).blocks(torch.zeros(1, 1, 8, 8)).shape[2:] == (4, 4)


def test_pooling_first_gives_what_pooling_last_gives_for_relu() -> None:
    torch.manual_seed(0)
    model = build(Config(channels=[8], norm="none", pools=2), GREY).eval()
    convolution = model.blocks[0]
    images = torch.randn(3, 1, 28, 28)
    last = F.max_pool2d(F.relu(convolution(images)), 2)
    torch.testing.assert_close(model.blocks(images), last)


def test_an_average_is_taken_after_the_activation() -> None:
    kinds = [
        type(layer).__name__ for layer in build(Config(channels=[8], pooling="avg", pools=2), GREY).blocks
    ]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "AvgPool2d"]


OPTIONS = list(
    itertools.product(
        ["batch", "group", "none"],
        ["relu", "leaky_relu", "gelu", "silu", "tanh"],
        ["max", "avg"],
        ["none", "avg", "max"],
    )
)


@pytest.mark.parametrize("task", [GREY, TINY, COLOUR], ids=["28", "8", "32x20"])
def test_every_option_gives_logits_and_gradients(task: TaskSpec) -> None:
    for norm, activation, pooling, global_pool in OPTIONS:
        values: dict[str, Any] = {"norm": norm, "activation": activation, "pooling": pooling}
        config = Config(
            [6, 8], global_pool=global_pool, hidden_sizes=[5], dropout=0.1, conv_dropout=0.1, **values
        )
        model = build(config, task)
        images = torch.randint(0, 256, (4, task.channels, task.height, task.width), dtype=torch.uint8)
        (loss,) = model.losses(Batch(images, torch.tensor([0, 1, 0, 1]), torch.arange(4))).values()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def test_bytes_are_normalised_by_the_tasks_statistics() -> None:
    model = build(Config(), COLOUR)
    images = torch.randint(0, 256, (2, 3, 32, 20), dtype=torch.uint8)
    expected = (images / 255 - torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)) / torch.tensor(
        [0.1, 0.2, 0.3]
    ).view(1, 3, 1, 1)
    torch.testing.assert_close(model.normalise(images), expected, atol=1e-5, rtol=1e-5)
    assert {"mean", "std"} <= set(model.state_dict())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_torchs_cross_entropy_of_logits(smoothing: float) -> None:
    model = build(Config(), GREY).eval()
    model.begin_training(TrainingSpec(6, images_change=False, label_smoothing=smoothing))
    images = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8)
    labels = torch.arange(6)
    (loss,) = model.losses(Batch(images, labels, labels)).values()
    expected = nn.CrossEntropyLoss(label_smoothing=smoothing)(model(model.normalise(images)), labels)
    torch.testing.assert_close(loss, expected)
    probabilities = model.probabilities(images)
    torch.testing.assert_close(
        -probabilities[labels, labels].log().mean(), F.cross_entropy(model(model.normalise(images)), labels)
    )


def test_group_norm_uses_eight_channels_where_they_divide() -> None:
    model = Cnn(Config([16, 12], norm="group"), GREY)
    assert [layer.num_groups for layer in model.blocks if isinstance(layer, nn.GroupNorm)] == [2, 1]


SQUARE = TaskSpec(3, 32, 32, ("cat", "dog", "owl"), mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3))


def pixels_of(task: TaskSpec, count: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, task.channels, task.height, task.width)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu", "silu", "tanh"])
@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("global_pool", ["none", "avg", "max"])
@pytest.mark.parametrize("task", [GREY, TINY, SQUARE], ids=["28x28x1", "8x8x1", "32x32x3"])
def test_every_combination_rates_every_class(
    task: TaskSpec, global_pool: Any, pooling: Any, activation: Any, norm: Any
) -> None:
    torch.manual_seed(0)
    config = Config([6, 8], norm=norm, activation=activation, pooling=pooling, global_pool=global_pool)
    model = build(config, task).eval()
    with torch.no_grad():
        rows = model.probabilities(pixels_of(task))
    assert rows.shape == (4, task.num_classes)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(4), atol=1e-5, rtol=0)
    assert not torch.equal(rows[0], rows[1])


def test_the_shipped_defaults_have_the_parameters_counted_by_hand() -> None:
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 64 + 64 * 64)
    norms = 2 * (16 + 32 + 64 + 64)
    assert count(build(Config(), GREY)) == convolutions + norms + 64 * 10 + 10 == 61_050


@pytest.mark.parametrize(("norm", "has_bias"), [("batch", False), ("group", True), ("none", True)])
def test_a_bias_that_batch_norm_would_take_away_is_left_out(norm: Any, has_bias: bool) -> None:
    model = build(Config([4], norm=norm), GREY)
    assert (model.blocks[0].bias is not None) == has_bias


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kernel_sizes": [3]}, r"model\.kernel_sizes=\[3\]: 1 entries for 2 convolutions"),
        ({"kernel_sizes": []}, r"model\.kernel_sizes=\[\]: 0 entries for 2 convolutions"),
        ({"strides": [1, 1, 1]}, r"model\.strides=\[1, 1, 1\]: 3 entries for 2 convolutions"),
        ({"paddings": [0]}, r"model\.paddings=\[0\]: 1 entries for 2 convolutions"),
        ({"pools": [2, 2, 2]}, r"model\.pools=\[2, 2, 2\]: 3 entries for 2 convolutions"),
        (
            {"kernel_sizes": [3, 17]},
            r"model\.kernel_sizes: the convolution of layer 2 of 2 leaves nothing: window 17, padding 1, on 14",
        ),
        (
            {"kernel_sizes": 31, "pools": 1},
            r"model\.kernel_sizes: the convolution of layer 1 of 2 leaves nothing: window 31, padding 1, on 28",
        ),
        ({"pools": [29, 1]}, r"model\.pools: the pooling of layer 1 of 2 leaves nothing: window 29"),
        ({"pools": [14, 3]}, r"model\.pools: the pooling of layer 2 of 2 leaves nothing: .* on 2 pixels"),
        ({"strides": [28, 1], "paddings": 0, "pools": 1}, "the convolution of layer 2 of 2 leaves nothing"),
    ],
)
def test_what_does_not_fit_is_refused_by_layer_and_key(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        build(Config([4, 4], **changes), GREY)


@pytest.mark.parametrize("height", [10, 40])
def test_the_narrower_side_decides(height: int) -> None:
    task = dataclasses.replace(GREY, height=height, width=4)
    build(Config([4], kernel_sizes=6, pools=1), task)  # 4 + 2 pixels: just fits
    with pytest.raises(ConfigError, match="on 4 pixels"):
        build(Config([4], kernel_sizes=7, pools=1), task)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "pool", "side"),
    [
        (3, 1, 1, 1, 28),
        (3, 1, 1, 2, 14),
        (5, 2, 0, 1, 12),
        (5, 2, 2, 3, 4),
        (1, 3, 0, 1, 10),
        (28, 1, 0, 1, 1),
    ],
)
def test_a_blocks_side_by_hand(kernel: int, stride: int, padding: int, pool: int, side: int) -> None:
    config = Config(
        [3], kernel_sizes=kernel, strides=stride, paddings=padding, pools=pool, global_pool="none"
    )
    model = build(config, GREY)
    assert model.blocks(torch.zeros(2, 1, 28, 28)).shape == (2, 3, side, side)
    assert model.head[-1].in_features == 3 * side * side


@pytest.mark.parametrize("key", ["kernel_sizes", "strides", "paddings", "pools"])
def test_each_key_as_one_number_equals_its_list(key: str) -> None:
    models = []
    for value in (2, [2, 2]):
        torch.manual_seed(0)
        models.append(build(Config([4, 6], **{key: value}), GREY).eval())
    one, many = (model.probabilities(pixels_of(GREY)) for model in models)
    assert torch.equal(one, many)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_the_maximum_may_be_taken_before_a_rising_activation(activation: Any) -> None:
    torch.manual_seed(0)
    model = build(Config([5, 7], norm="none", activation=activation, pools=2), GREY).eval()
    values = torch.randn(3, 1, 28, 28)
    expected = values
    for layer in model.blocks:
        if isinstance(layer, nn.Conv2d):
            expected = layer(expected)
        elif not isinstance(layer, nn.MaxPool2d):
            expected = F.max_pool2d(layer(expected), 2)
    assert expected.shape == (3, 7, 7, 7)
    torch.testing.assert_close(model.blocks(values), expected)


def test_the_training_images_have_mean_zero_and_deviation_one() -> None:
    images = pixels_of(COLOUR, count=50)
    scaled = images.double() / 255
    task = dataclasses.replace(
        COLOUR,
        mean=tuple(scaled.mean(dim=(0, 2, 3)).tolist()),
        std=tuple(scaled.std(dim=(0, 2, 3), correction=0).tolist()),
    )
    values = build(Config([4]), task).normalise(images)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_probabilities_and_loss_are_float32_also_under_autocast() -> None:
    torch.manual_seed(0)
    model, images = build(Config(), GREY).eval(), pixels_of(GREY)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(model.normalise(images)).dtype == torch.bfloat16
        rows = model.probabilities(images)
        (loss,) = model.losses(Batch(images, torch.arange(4), torch.arange(4))).values()
    assert rows.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows, model.probabilities(images).detach(), atol=0.02, rtol=0)


def test_smoothing_by_hand() -> None:
    smoothing = 0.3
    model = build(Config([4]), GREY).eval()
    model.begin_training(TrainingSpec(4, images_change=False, label_smoothing=smoothing))
    images, labels = pixels_of(GREY), torch.tensor([3, 0, 9, 3])
    logs = model.probabilities(images).log()
    target = torch.full((4, 10), smoothing / 10)
    target[torch.arange(4), labels] += 1 - smoothing
    (loss,) = model.losses(Batch(images, labels, torch.arange(4))).values()
    torch.testing.assert_close(loss, -(target * logs).sum(dim=1).mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pooling": "avg"},
        {"norm": "group"},
        {"norm": "none"},
        {"global_pool": "none"},
        {"global_pool": "avg"},
    ],
    ids=str,
)
def test_the_defaults_train_on_8x8(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = build(Config(**changes), TINY)
    batch = Batch(pixels_of(TINY, 8), torch.arange(8), torch.arange(8))
    (loss,) = model.losses(batch).values()
    loss.backward()
    assert all(bool(parameter.grad.any()) for parameter in model.parameters() if parameter.ndim > 1)
    assert model.blocks(torch.zeros(2, 1, 8, 8)).shape == (2, 64, 4, 4)


def test_dropout_acts_while_training_only() -> None:
    torch.manual_seed(0)
    config = Config([16, 16], conv_dropout=0.5, dropout=0.5, hidden_sizes=[32])
    model, images = build(config, GREY), pixels_of(GREY)
    kinds = [type(layer).__name__ for layer in (*model.blocks, *model.head)]
    assert (kinds.count("Dropout2d"), kinds.count("Dropout")) == (2, 2)
    assert not torch.equal(model.probabilities(images), model.probabilities(images))
    model.eval()
    assert torch.equal(model.probabilities(images), model.probabilities(images))
