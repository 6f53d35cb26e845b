"""What a model takes: medians after a warm-up, counts of parameters."""

import time
from collections.abc import Iterator

import pytest
import torch
from fake_cuda import fake_cuda
from shipped import BY_TIER, TASKS, build_model
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from toy import CPU, TASK, Toy, toy_split

from bakeoff.evaluation import cost
from bakeoff.machine.memory import PhasePeaks
from bakeoff.models.base import LogitsClassifier


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
    monkeypatch.setattr("os.getloadavg", lambda: (3.5, 0.0, 0.0))
    speed = cost.measure_speed(Toy(), toy_split(5), CPU, 123.0)
    assert speed.latency_ms_batch1 == pytest.approx(3.0)
    assert speed.latency_ms_batch1_p95 == pytest.approx(9.0)
    assert (speed.latency_batch_size, speed.threads) == (1, torch.get_num_threads())
    assert speed.load_average == 3.5
    assert speed.images_per_second_batch256 == pytest.approx(256 / 4.0)
    assert speed.train_images_per_second == 123.0
    assert next(ticks, None) is None


def test_a_batch_of_256_is_not_tried_where_memory_does_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = Toy(), []
    rate = model.probabilities
    monkeypatch.setattr(model, "probabilities", lambda images: (seen.append(len(images)), rate(images))[1])
    monkeypatch.setattr("bakeoff.evaluation.batch_size.available_memory_bytes", lambda _: 2**18)
    speed = cost.measure_speed(model, toy_split(5), CPU, 1.0)
    assert speed.images_per_second_batch256 is None
    assert speed.latency_ms_batch1 > 0
    assert max(seen) == 8  # to see what an image takes


def test_parameters_are_counted_and_those_that_are_trained() -> None:
    model = Toy()
    model.layers[0].requires_grad_(requires_grad=False)  # 4 kernels of 3x3, and 4 biases
    counted = cost.measure_size(model, CPU)
    assert counted.parameters == 4 * 9 + 4 + 4 + 4 + 64 * 3 + 3
    assert counted.trainable_parameters == counted.parameters - 40
    # A multiplication and an addition for each weight of each of 4x4 places, then the linear layer.
    assert cost.count_flops(model, toy_split(3), CPU) == 2 * (4 * 16 * 9 + 64 * 3)
    assert counted.peak_memory_bytes > 2**20
    assert (counted.peak_train_memory_bytes, counted.peak_eval_memory_bytes) == (None, None)
    peaks = PhasePeaks({"train": 2**60, "eval": 5}, highest=2**61)
    counted = cost.measure_size(model, CPU, peaks)
    assert (counted.peak_train_memory_bytes, counted.peak_eval_memory_bytes) == (2**60, 5)
    assert counted.peak_memory_bytes == 2**61


def test_measuring_leaves_the_model_as_it_was() -> None:
    model = Toy().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    cost.measure_speed(model, toy_split(2), CPU, 1.0)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def flops(model_name: str, overrides: tuple[str, ...], device: str) -> int:
    model = build_model(model_name, TASKS[0], overrides=overrides).to(device)
    return cost.forward_flops(model, torch.zeros((1, 1, 28, 28), dtype=torch.uint8).to(device))


@pytest.mark.parametrize(
    ("patch", "heads", "pooling"), [(7, 4, "mean"), (2, 4, "mean"), (4, 2, "class_token")]
)
def test_attention_counts_and_alike_on_a_cpu_and_on_a_gpu(patch: int, heads: int, pooling: str) -> None:
    """A ViT's multiplications by hand, after Vaswani et al. 2017, table 1: attention is quadratic in tokens."""
    width, depth, hidden, classes = 96, 4, 192, 10
    patches = (28 // patch) ** 2
    tokens = patches + (pooling == "class_token")
    stem = patches * patch**2 * width
    queries_keys_values, output = tokens * width * 3 * width, tokens * width * width
    scores, mixed = tokens * tokens * width, tokens * tokens * width  # of all heads together
    perceptron = 2 * tokens * width * hidden
    block = queries_keys_values + scores + mixed + output + perceptron
    by_hand = 2 * (stem + depth * block + width * classes)
    overrides = (f"model.patch_size={patch}", f"model.heads={heads}", f"model.pooling={pooling}")
    assert flops("vit", overrides, "cpu") == by_hand
    with fake_cuda():
        assert flops("vit", overrides, "cuda") == by_hand


class TorchsAttention(LogitsClassifier):
    """As in torchvision's transformers: torch's own layer, which has a fast path in evaluation."""

    def __init__(self) -> None:
        super().__init__(TASK)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(36, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = images[:, 0]
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.head(mixed.flatten(1))


def test_torchs_own_attention_layer_counts_and_keeps_its_fast_path() -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    tokens, width = 6, 6
    attention = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    assert cost.forward_flops(TorchsAttention(), torch.zeros((1, 1, 6, 6), dtype=torch.uint8)) == 2 * (
        attention + 36 * 3
    )
    assert torch.backends.mha.get_fastpath_enabled() is before


@pytest.mark.parametrize("name", BY_TIER)
def test_flops_are_those_of_torchs_own_counter(name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, image = build_model(name, TASKS[0]).eval(), torch.zeros((1, 1, 28, 28), dtype=torch.uint8)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as theirs, sdpa_kernel(SDPBackend.MATH), torch.inference_mode():
            model.probabilities(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert cost.forward_flops(model, image) == theirs.get_total_flops() > 0


class InInferenceMode(LogitsClassifier):
    """There torch gives a layer as one operator that has no formula: `linear`, not `addmm`."""

    def __init__(self) -> None:
        super().__init__(TASK)
        self.head = nn.Linear(36, 3)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))


def test_an_operators_flops_are_those_of_what_it_consists_of() -> None:
    assert cost.forward_flops(InInferenceMode(), torch.zeros((1, 1, 6, 6), dtype=torch.uint8)) == 2 * 36 * 3
