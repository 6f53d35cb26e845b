"""What torch marks for its compiler, without the mark: the first call of a marked function imports all of it.

That takes a second of a run's start, and only `trainer.compile` needs it, which imports it by itself.
"""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

_MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


class EagerMode(TorchDispatchMode):
    """A mode that sees each operator; torch would mark `__torch_dispatch__`, which this says no to."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def eager_optimizer(kind: type[Optimizer]) -> Any:
    """The same optimizer, to the bit: around `step` torch has a mark, and gradients switched off.

    Those that are differentiable through their steps are none of ours.
    """
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in _MARKED}
    plain["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {"__module__": __name__, "__doc__": kind.__doc__, **plain})
