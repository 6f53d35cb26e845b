"""What a trained model takes: parameters, FLOPs, latency, throughput, memory."""

import statistics
import time
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from bakeoff.data.splits import Split
from bakeoff.evaluation.batch_size import fits
from bakeoff.machine.eager import EagerMode
from bakeoff.machine.load import average_load
from bakeoff.machine.memory import PhasePeaks
from bakeoff.machine.runtime import Runtime, num_threads
from bakeoff.models.base import Classifier, evaluating
from bakeoff.runs.records import Cost, Speed

_LATENCY_REPEATS = 30
_THROUGHPUT_REPEATS = 5
_THROUGHPUT_BATCH = 256


class _FlopCounter(EagerMode):
    """Adds up torch's formulas for operators, as its `FlopCounterMode` does, which imports the compiler."""

    def __init__(self) -> None:
        super().__init__()
        from torch.utils.flop_counter import flop_registry  # loads Triton, where that is installed

        self.total = 0
        self._formulas = flop_registry

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Lets an operator do its work, if possible by the operators that it consists of, and counts it."""
        del types
        kwargs = kwargs or {}
        if func is not torch.ops.prim.device.default:  # which asks for a device, and computes nothing
            with self:
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        made = func(*args, **kwargs)
        if func._overloadpacket in self._formulas:
            self.total += self._formulas[func._overloadpacket](*args, **kwargs, out_val=made)
        return made


def measure_size(model: Classifier, runtime: Runtime, memory: PhasePeaks | None = None) -> Cost:
    """Counts parameters, and reads the memory that was needed so far.

    `memory` has the peaks of training and of evaluation.
    """
    parameters, memory = list(model.parameters()), memory or PhasePeaks()
    return Cost(
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        forward_flops_per_image=None,
        peak_memory_bytes=memory.of_all(runtime.device),
        peak_train_memory_bytes=memory.phases.get("train"),
        peak_eval_memory_bytes=memory.phases.get("eval"),
    )


def count_flops(model: Classifier, images: Split, runtime: Runtime) -> int | None:
    """Forward FLOPs for one image of a split (a multiplication and an addition are two)."""
    return forward_flops(model, _some_images(images, 1, runtime)) or None


def forward_flops(model: Classifier, images: UInt8[Tensor, "b c h w"]) -> int:
    """FLOPs of a forward pass, counted by torch: matrix products and convolutions.

    Attention goes through its plain form, two matrix products: the fused kernels, and the fast path of
    torch's own attention layers, are operators that the counter does not know on every device. So a
    model has one count, on a CPU and on a GPU and whatever the precision.
    """
    had_fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with _FlopCounter() as counter, sdpa_kernel(SDPBackend.MATH), evaluating(model):
            model.probabilities(images)
    finally:
        torch.backends.mha.set_fastpath_enabled(had_fast_path)
    return counter.total


def measure_speed(
    model: Classifier, images: Split, runtime: Runtime, train_images_per_second: float
) -> Speed:
    """Times `probabilities`, from bytes on the device to probabilities on the device.

    After a warm-up: latency of one image, as median and 95th percentile, and the median rate of batches
    of 256 (a split with fewer images repeats them; None where memory does not hold them). Threads and
    load stand beside them: without these two, times do not compare.
    """
    load = average_load()
    one = _seconds(model, _some_images(images, 1, runtime), runtime, _LATENCY_REPEATS)
    rate = None
    if fits(_THROUGHPUT_BATCH, model, images, runtime):
        batch = _some_images(images, _THROUGHPUT_BATCH, runtime)
        rate = _THROUGHPUT_BATCH / statistics.median(_seconds(model, batch, runtime, _THROUGHPUT_REPEATS))
    return Speed(
        train_images_per_second=train_images_per_second,
        latency_ms_batch1=1000 * statistics.median(one),
        images_per_second_batch256=rate,
        latency_ms_batch1_p95=1000 * float(np.percentile(one, 95)),
        latency_batch_size=1,
        threads=num_threads(),
        load_average=load,
    )


def _some_images(images: Split, count: int, runtime: Runtime) -> UInt8[Tensor, "count c h w"]:
    return images.images(torch.arange(count, device=images.device) % len(images)).to(runtime.device)


def _seconds(
    model: Classifier, images: UInt8[Tensor, "b c h w"], runtime: Runtime, repeats: int
) -> list[float]:
    seconds = []
    for _ in range(2 + repeats):
        runtime.synchronize()
        start = time.perf_counter()
        _rate(model, images, runtime)
        runtime.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds[2:]  # the first two warm up


def _rate(model: Classifier, images: UInt8[Tensor, "b c h w"], runtime: Runtime) -> None:
    with evaluating(model), runtime.autocast():
        model.probabilities(images)
