"""The program as a process of its own: it says so, and its exit is not disturbed."""

import os
import subprocess
import sys

SAYS = """
import os, signal
from bakeoff.machine.process import run_process
from bakeoff.machine.signals import NUMBERS, StopSignal
def command():
    print(StopSignal._owns_process, os.environ["HYDRA_FULL_ERROR"], flush=True)
    import atexit
    atexit.register(lambda: print(all(signal.getsignal(n) == signal.SIG_IGN for n in NUMBERS), flush=True))
    return 7
run_process(command)
"""


def test_a_process_of_our_own_is_known_prepared_and_ends_undisturbed() -> None:
    bare = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    done = subprocess.run([sys.executable, "-c", SAYS], env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "True 1\nTrue\n", "")
