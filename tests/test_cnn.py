"""The CNN: shapes and counts by hand, options, preprocessing."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bakeoff.data.batches import Batch
from bakeoff.models.base import TaskSpec
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
    model = build(Config(), dataclasses.replace(GREY, label_smoothing=smoothing)).eval()
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
