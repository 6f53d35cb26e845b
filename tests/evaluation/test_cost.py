"""What a model takes: medians after a warm-up, counts of parameters."""

import time
from collections.abc import Iterator

import pytest
import torch
from toy import CPU, Toy, toy_split

from bakeoff.evaluation import cost


def clock(seconds: Iterator[float]) -> Iterator[float]:
    """What `time.perf_counter` says before and after each pass that takes so long."""
    now = 0.0
    for each in seconds:
        yield now
        now += each
        yield now


def test_the_first_two_passes_warm_up_and_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # One image: 2 to warm up, then 16 of 3 ms and 14 of 9 ms. 256 images: 2, then 1, 1, 4, 8, 8 s.
    one = [500.0, 400.0, *[0.003] * 16, *[0.009] * 14]
    many = [300.0, 200.0, 8.0, 1.0, 8.0, 4.0, 1.0]
    ticks = clock(iter([*one, *many]))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    speed = cost.measure_speed(Toy(), toy_split(5), CPU, 123.0)
    assert speed.latency_ms_batch1 == pytest.approx(3.0)
    assert speed.images_per_second_batch256 == pytest.approx(256 / 4.0)
    assert speed.train_images_per_second == 123.0
    assert next(ticks, None) is None


def test_parameters_are_counted_and_those_that_are_trained() -> None:
    model = Toy()
    model.layers[0].requires_grad_(requires_grad=False)  # 4 kernels of 3x3, and 4 biases
    counted = cost.measure_size(model, CPU)
    assert counted.parameters == 4 * 9 + 4 + 4 + 4 + 64 * 3 + 3
    assert counted.trainable_parameters == counted.parameters - 40
    # A multiplication and an addition for each weight of each of 4x4 places, then the linear layer.
    assert cost.count_flops(model, toy_split(3), CPU) == 2 * (4 * 16 * 9 + 64 * 3)
    assert counted.peak_memory_bytes > 2**20


def test_measuring_leaves_the_model_as_it_was() -> None:
    model = Toy().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cost.measure_speed(model, toy_split(2), CPU, 1.0)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
