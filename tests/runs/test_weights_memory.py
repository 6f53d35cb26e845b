"""Weights are written and read without a second copy of all of them in memory."""

import subprocess
import sys
from pathlib import Path

import pytest

# Each measures a process of its own, whose highest memory so far nothing else has raised.
SCRIPT = """
import resource, sys
from pathlib import Path
import torch
import safetensors.torch
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.weight_files import read_weights

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

run = RunDir(Path(sys.argv[1]))
if sys.argv[2] == "write":
    tensors = {f"layer{number}": torch.ones(2**22) for number in range(16)}  # 256 MiB
    before = peak()
    run.write_weights(tensors, finished=True)
else:
    before = peak()
    tensors = read_weights(run.path)
    assert sum(float(tensor.sum()) for tensor in tensors.values()) == 2**26
print((peak() - before) / 2**28)
"""


def growth(run: Path, action: str) -> float:
    """How far the peak of memory rises, in units of the weights."""
    command = [sys.executable, "-c", SCRIPT, str(run), action]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow  # two processes that load torch
def test_weights_are_held_once(tmp_path: Path) -> None:
    assert growth(tmp_path, "write") < 0.3
    assert growth(tmp_path, "read") < 1.3
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]
