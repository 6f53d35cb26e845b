"""The loss scale of fp16, kept on the device (Micikevicius et al. 2018, section 3.2).

Small gradients vanish in fp16, so the loss is multiplied before the backward pass and the gradients
are divided after it. A gradient that overflows means only that the scale is too high: that step is
left out and the scale halved. `torch.amp.GradScaler` does the same and a test holds this against it,
but reads the host in each step of an optimizer that is not fused, and cannot be copied whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from bakeoff.training.restoring import check_pieces

_FIRST_SCALE = 2.0**16
_GROWTH_FACTOR = 2.0
_STEPS_BEFORE_GROWTH = 2000
# Below this the loss itself is what overflows, and no scale can help.
LOWEST_SCALE = 2.0**-10


@dataclass
class LossScale:
    """The scale and the number of good steps since it last changed, both on the device."""

    scale: Float32[Tensor, ""]
    good_steps: Int64[Tensor, ""]

    @classmethod
    def start(cls, device: torch.device) -> "LossScale":
        """The scale of the first step."""
        return cls(
            torch.full((), _FIRST_SCALE, device=device), torch.zeros((), dtype=torch.int64, device=device)
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Both tensors by their names."""
        return {"scale": self.scale, "good_steps": self.good_steps}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_dict` gave.

        Raises:
            ResumeError: a tensor is missing, unknown or of another kind.
        """
        check_pieces(self.state_dict(), tensors, "the loss scale")
        device = self.scale.device
        self.scale = tensors["scale"].to(device, copy=True)
        self.good_steps = tensors["good_steps"].to(device, copy=True)

    @torch.no_grad()
    def unscale(self, gradients: list[Tensor]) -> None:
        """Divides gradients by the scale, in place."""
        torch._foreach_mul_(gradients, 1.0 / self.scale)

    @torch.no_grad()
    def update(self, overflowed: Bool[Tensor, ""]) -> None:
        """Halves the scale after an overflow (a bool on the device), doubles it after many good steps."""
        good = torch.where(overflowed, 0, self.good_steps + 1)
        grows = good == _STEPS_BEFORE_GROWTH
        factor = torch.where(overflowed, 1 / _GROWTH_FACTOR, torch.where(grows, _GROWTH_FACTOR, 1.0))
        self.scale = self.scale * factor
        self.good_steps = torch.where(grows, 0, good)
