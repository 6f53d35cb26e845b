"""A step whose loss, gradient or buffers are not finite changes nothing, and no step after it does either.

The check stays on the device: the flag goes to the fused optimizer, which then skips its step by
itself, as it does for a gradient scaler. The host reads the flag late, when it looks anyway, and
finds the weights of the last good step. With a loss scale (fp16) a gradient that is not finite skips
its own step alone.
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.optim import Optimizer

from bakeoff.training.restoring import check_pieces
from bakeoff.training.scaling import LOWEST_SCALE, LossScale

_OWN_TENSORS = ("diverged", "skipped", "good_steps")


class StepGuard:
    """Holds the flags, the number of good steps, and the buffers as the last good step left them."""

    def __init__(self, model: nn.Module) -> None:
        device = next(model.parameters()).device
        self.diverged = torch.zeros((), device=device)  # float32, as fused optimizers want it
        self.skipped = self.diverged  # whether the last step was left out: 0 or 1
        self.good_steps = torch.zeros((), dtype=torch.int64, device=device)
        # A forward pass with NaN, or with values too large to square, spoils the running statistics
        # of batch norm before any check of the loss.
        self._buffers: dict[torch.dtype, list[Tensor]] = {}
        for buffer in model.buffers():
            self._buffers.setdefault(buffer.dtype, []).append(buffer)
        self._saved = {dtype: _flat(buffers) for dtype, buffers in self._buffers.items()}

    @torch.no_grad()
    def step(
        self,
        optimizer: Optimizer,
        loss: Float[Tensor, ""],
        gradient_norm: Float[Tensor, ""],
        loss_scale: LossScale | None = None,
    ) -> None:
        """Steps if loss, gradient and buffers, of this step and of all before it, are finite."""
        after_forward = {dtype: _flat(buffers) for dtype, buffers in self._buffers.items()}
        finite_gradient = torch.isfinite(gradient_norm)
        good = torch.isfinite(loss)
        for values in after_forward.values():
            good = good & torch.isfinite(values).all()
        if loss_scale is None:
            good = good & finite_gradient
        else:
            loss_scale.update(~finite_gradient)
            good = good & (loss_scale.scale >= LOWEST_SCALE)
        self.diverged = torch.maximum(self.diverged, (~good).float())
        self.skipped = torch.maximum(self.diverged, (~finite_gradient).float())
        self.good_steps = self.good_steps + (self.diverged == 0)
        for dtype, values in after_forward.items():
            self._saved[dtype] = torch.where(self.diverged > 0, self._saved[dtype], values)
        if optimizer.defaults.get("fused"):
            # Set at each step: a deep copy of an optimizer loses what is set on it from outside.
            optimizer.found_inf = self.skipped  # type: ignore[attr-defined]
            optimizer.grad_scale = None  # type: ignore[attr-defined]
            optimizer.step()
        else:
            _step_unless(self.skipped > 0, optimizer)

    def state_dict(self) -> dict[str, Tensor]:
        """The flags, the count, and the buffers of the last good step as `saved.float32` and so on."""
        own = {name: getattr(self, name) for name in _OWN_TENSORS}
        return own | {f"saved.{_short(dtype)}": values for dtype, values in self._saved.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `state_dict` gave, of a guard of the same model.

        Raises:
            ResumeError: a tensor is missing, unknown or of another kind.
        """
        check_pieces(self.state_dict(), tensors, "the step guard")
        device = self.good_steps.device
        # New tensors: at the start two of them are one and the same.
        for name in _OWN_TENSORS:
            setattr(self, name, tensors[name].to(device, copy=True))
        self._saved = {
            dtype: tensors[f"saved.{_short(dtype)}"].to(device, copy=True) for dtype in self._saved
        }

    def tripped(self) -> bool:
        """Whether a step went wrong. Reads the flag: the host waits for the device here."""
        return bool(self.diverged.item())

    @torch.no_grad()
    def restore_buffers(self) -> None:
        """Puts the buffers back to those of the last good step."""
        for dtype, buffers in self._buffers.items():
            sizes = [buffer.numel() for buffer in buffers]
            for buffer, saved in zip(buffers, self._saved[dtype].split(sizes), strict=True):
                buffer.copy_(saved.view_as(buffer))


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _flat(buffers: list[Tensor]) -> Shaped[Tensor, "n"]:
    return torch.cat([buffer.reshape(-1) for buffer in buffers])


def _step_unless(skip: Bool[Tensor, ""], optimizer: Optimizer) -> None:
    """Steps an optimizer that cannot skip by itself (RMSprop), and takes the step back on the device."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    before = [
        (parameter.clone(), {key: value.clone() for key, value in _state(optimizer, parameter)})
        for parameter in parameters
    ]
    optimizer.step()
    for parameter, (value, state) in zip(parameters, before, strict=True):
        parameter.copy_(torch.where(skip, value, parameter))
        for key, now in _state(optimizer, parameter):
            now.copy_(torch.where(skip, state[key], now))


def _state(optimizer: Optimizer, parameter: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The state's tensors on the device. On CUDA the step count, which RMSprop never uses, is not."""
    for key, value in optimizer.state.get(parameter, {}).items():
        if isinstance(value, Tensor) and value.device == parameter.device:
            yield key, value
