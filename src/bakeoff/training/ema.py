"""An exponential moving average of a model's weights (Polyak and Juditsky 1992)."""

import copy

import torch
from jaxtyping import Float32
from torch import Tensor

from bakeoff.models.base import Classifier


class WeightAverage:
    """A copy of a model whose weights trail those in training. It is what gets judged and kept.

    Parameters and floating-point buffers (batch norm's running statistics) are averaged, counters are
    copied. The average warms up, decay = min(decay, (1 + step) / (10 + step)), as in TensorFlow's
    ExponentialMovingAverage, so that the untrained weights are soon forgotten.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(requires_grad=False)

    @torch.no_grad()
    def update(self, model: Classifier, step: int, skipped: Float32[Tensor, ""]) -> None:
        """Moves the average towards the weights after step `step` (counted from 1).

        Args:
            model: the model in training.
            step: optimizer steps done.
            skipped: scalar on the device, 1 if the step was left out: then nothing moves.
        """
        weight = (1 - min(self.decay, (1 + step) / (10 + step))) * (1 - skipped)
        averages: list[Tensor] = list(self.model.parameters())
        steps = torch._foreach_sub([p.detach() for p in model.parameters()], averages)
        torch._foreach_mul_(steps, weight)
        torch._foreach_add_(averages, list(steps))
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            target = torch.lerp(average, buffer, weight) if buffer.is_floating_point() else buffer
            # A skipped step may have left NaN in the buffers, which no weight of 0 would stop.
            average.copy_(torch.where(skipped > 0, average, target))
