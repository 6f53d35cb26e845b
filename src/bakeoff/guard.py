"""A step whose loss, gradient or buffers are not finite changes nothing, and no step after it does either.

The check stays on the device: the flag goes to the fused optimizer, which then skips its step by
itself, as it does for a gradient scaler. The host reads the flag late, when it looks anyway, and
finds the weights of the last good step.
"""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class StepGuard:
    """Holds the flag, the number of good steps, and the buffers as the last good step left them."""

    def __init__(self, model: nn.Module) -> None:
        device = next(model.parameters()).device
        self.found_inf = torch.zeros((), device=device)  # float32, as fused optimizers want it
        self.good_steps = torch.zeros((), dtype=torch.int64, device=device)
        # A forward pass with NaN, or with values too large to square, spoils the running statistics
        # of batch norm before any check of the loss.
        self._buffers: dict[torch.dtype, list[Tensor]] = {}
        for buffer in model.buffers():
            self._buffers.setdefault(buffer.dtype, []).append(buffer)
        self._saved = {dtype: _flat(buffers) for dtype, buffers in self._buffers.items()}

    @torch.no_grad()
    def step(self, optimizer: Optimizer, loss: Tensor, gradient_norm: Tensor) -> None:
        """Steps if loss, gradient and buffers, of this step and of all before it, are finite."""
        after_forward = {dtype: _flat(buffers) for dtype, buffers in self._buffers.items()}
        good = torch.isfinite(loss) & torch.isfinite(gradient_norm)
        for values in after_forward.values():
            good = good & torch.isfinite(values).all()
        self.found_inf = torch.maximum(self.found_inf, (~good).float())
        self.good_steps = self.good_steps + (self.found_inf == 0)
        for dtype, values in after_forward.items():
            self._saved[dtype] = torch.where(self.found_inf > 0, self._saved[dtype], values)
        # Set at each step: a deep copy of an optimizer loses what is set on it from outside.
        optimizer.found_inf = self.found_inf  # type: ignore[attr-defined]
        optimizer.grad_scale = None  # type: ignore[attr-defined]
        optimizer.step()

    def tripped(self) -> bool:
        """Whether a step went wrong. Reads the flag: the host waits for the device here."""
        return bool(self.found_inf.item())

    @torch.no_grad()
    def restore_buffers(self) -> None:
        """Puts the buffers back to those of the last good step."""
        for dtype, buffers in self._buffers.items():
            sizes = [buffer.numel() for buffer in buffers]
            for buffer, saved in zip(buffers, self._saved[dtype].split(sizes), strict=True):
                buffer.copy_(saved.view_as(buffer))


def _flat(buffers: list[Tensor]) -> Tensor:
    return torch.cat([buffer.reshape(-1) for buffer in buffers])
