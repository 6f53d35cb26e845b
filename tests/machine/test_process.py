"""The program as a process of its own: it says so, and its exit is not disturbed."""

import gc
import os
import subprocess
import sys
from contextlib import suppress

import pytest

from bakeoff.machine.process import loading

SAYS = """
import os, signal
from bakeoff.machine.process import run_process
from bakeoff.machine.signals import NUMBERS, StopSignal
def command():
    print(StopSignal._owns_process, os.environ["HYDRA_FULL_ERROR"], flush=True)
    import atexit, gc
    print(gc.get_freeze_count())
    atexit.register(lambda: print(gc.get_freeze_count() > 1000))
    atexit.register(lambda: print(all(signal.getsignal(n) == signal.SIG_IGN for n in NUMBERS), flush=True))
    return 7
run_process(command)
"""


def test_a_process_of_our_own_is_known_prepared_and_ends_undisturbed() -> None:
    bare = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    done = subprocess.run([sys.executable, "-c", SAYS], env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "True 1\n0\nTrue\nTrue\n", "")


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("is_ours", [True, False])
def test_no_garbage_is_looked_for_while_libraries_load(
    enabled: bool, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[None] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(None))
    monkeypatch.setattr("bakeoff.machine.signals.StopSignal._owns_process", is_ours)
    try:
        gc.enable() if enabled else gc.disable()
        with suppress(ImportError), loading():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == enabled
        assert len(frozen) == is_ours  # what a notebook has made is left alone
    finally:
        gc.enable()
