"""A process that is somebody else's, such as a notebook's: what a training sets in it is given back."""

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
            with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
                yield
        finally:
            Singleton.set_state(hydra)
            if before is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = before


def _forget_hydra() -> None:
    """An application of the user's may be one of Hydra's, and of these there is one in a process."""
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()


@contextmanager
def torch_settings_kept() -> Iterator[None]:
    """Threads, random numbers, determinism and number formats of torch are afterwards as they were."""
    with loading_torch():
        import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    mode, matmul = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)
        torch.set_deterministic_debug_mode(mode)
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = cudnn
