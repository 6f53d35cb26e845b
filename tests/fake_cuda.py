"""A CUDA device without a driver: tensors with shape, dtype and device, but no data.

Inside `fake_cuda()` a CPU tensor that meets a CUDA tensor, a host read, or an operator whose result
has a shape that depends on data is an error, as each would be a bug or a wait on a real GPU.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode


@contextmanager
def fake_cuda() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "_apply", _apply)
        patch.setattr(Tensor, "backward", _backward)
        # Otherwise autocast sees no CUDA, warns, and turns itself off.
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
        # A deep copy of a model must stay in the same pretended world.
        patch.setattr(FakeTensorMode, "__deepcopy__", lambda mode, _: mode, raising=False)
        with FakeTensorMode(allow_non_fake_inputs=False):
            yield


def _apply(module: nn.Module, function: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`Module.to` swaps data in place, which fake tensors cannot; new parameters take their place."""
    for child in module.children() if recurse else ():
        _apply(child, function)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = nn.Parameter(function(parameter), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module


def _backward(loss: Tensor, *_: Any, **__: Any) -> None:
    """Gives a gradient to each leaf that the graph reaches; the real one asks the driver."""
    assert loss.grad_fn is not None
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)
        todo += [parent for parent, _ in node.next_functions if parent is not None]
