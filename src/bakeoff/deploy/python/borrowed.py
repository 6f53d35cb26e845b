"""A process that is somebody else's, such as a notebook's: what a training sets in it is given back."""

import contextlib
import functools
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ParamSpec, TypeVar

from bakeoff.errors import BakeoffError
from bakeoff.machine import environment
from bakeoff.machine.process import loading_torch

# Threads, random numbers, signals and Hydra belong to the whole process.
_ONE_AT_A_TIME = threading.RLock()
_VARIABLE = "HYDRA_FULL_ERROR"


@contextmanager
def borrowed_process(*, quiet: bool) -> Iterator[None]:
    """Does one thing at a time in this process, and leaves Hydra, torch and the environment as they were.

    Args:
        quiet: whether nothing is printed to standard output meanwhile.
    """
    from hydra.core.singleton import Singleton

    with _ONE_AT_A_TIME:
        before = os.environ.get(_VARIABLE)
        hydra = Singleton.get_state()
        _forget_hydra()
        environment.prepare()
        try:
            with contextlib.redirect_stdout(_SilentHere()) if quiet else contextlib.nullcontext():
                yield
        finally:
            Singleton.set_state(hydra)
            if before is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = before


class _SilentHere(io.TextIOBase):
    """Standard output without what this thread prints; other threads, whose it is too, go on as before."""

    def __init__(self) -> None:
        self._thread, self._stream = threading.get_ident(), sys.stdout

    def write(self, text: str) -> int:
        """Passes on what another thread writes."""
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def flush(self) -> None:
        """As the stream behind it."""
        self._stream.flush()


def _forget_hydra() -> None:
    """An application of the user's may be one of Hydra's, and of these there is one in a process."""
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()


@contextmanager
def torch_settings_kept() -> Iterator[None]:
    """Inside the block torch is as in a process of our own; afterwards it is as it was before.

    That is threads, random numbers, determinism, number formats; and what somebody is inside of: another
    default type or device, no gradients, mixed precision. All of these would change what is trained, and no
    config says so.
    """
    with loading_torch():
        import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    mode, matmul = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    dtype = torch.get_default_dtype()
    try:
        with _plain_torch():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)
        torch.set_deterministic_debug_mode(mode)
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def _plain_torch() -> Iterator[None]:
    """Out of whatever modes the caller is in."""
    import torch

    torch.set_default_dtype(torch.float32)
    with ExitStack() as modes:
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        modes.enter_context(_outside_of_autocast())
        modes.enter_context(torch.inference_mode(mode=False))
        modes.enter_context(torch.enable_grad())
        yield


@contextmanager
def _outside_of_autocast() -> Iterator[None]:
    """As before the first `torch.autocast`.

    One inside of another, even of one that is switched off, would go on with the weights that the first step
    has cast: they are forgotten only when the outermost ends.
    """
    import torch

    enabled = {device: torch.is_autocast_enabled(device) for device in ("cpu", "cuda")}
    depth = torch.autocast_increment_nesting() - 1
    for _ in range(depth + 1):
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()
    for device in enabled:
        torch.set_autocast_enabled(device, False)  # noqa: FBT003 - its signature
    try:
        yield
    finally:
        for device, before in enabled.items():
            torch.set_autocast_enabled(device, before)
        for _ in range(depth):
            torch.autocast_increment_nesting()


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def short_errors(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """What is refused is told in a line, not in two hundred lines of what was called on the way to it."""

    @functools.wraps(function)
    def called(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return function(*arguments, **options)
        except BakeoffError as error:
            raise error.with_traceback(None) from None

    return called
