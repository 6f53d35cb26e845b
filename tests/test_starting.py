"""What a run must not load until its first step is done: its start is most of a short run."""

import json
import os
import subprocess
import sys
from pathlib import Path

# Torch itself is loaded before the fork. pandas and SciPy came with scikit-learn, sympy with torch's compiler;
# matplotlib is loaded on purpose: whether pictures can be drawn is tried before hours of training.
NEEDLESS = (
    "torch._dynamo", "torch._inductor", "torch.utils.flop_counter", "sympy", "torchvision", "scipy", "pandas",
    "sklearn", "statsmodels", "rich", "IPython", "matplotlib.pyplot", "bakeoff.comparison",
)  # fmt: skip
COMPOSES = ("hydra", "omegaconf", "antlr4")
# Each command line in a process of its own. After the first step: what is loaded, then what counting FLOPs, which
# comes after the last step, loads of torch's compiler; then the run is stopped.
AFTER_FIRST_STEP = """
import json, os, signal, sys
from pathlib import Path
import torch
needless = sys.argv[1].split()

def loaded():
    return [name for name in needless if name in sys.modules]

def passed(words):
    from bakeoff.cli import main
    from bakeoff.training import loop
    found, step = [], loop.train_step
    def first_step(state, batch, *others):
        done = step(state, batch, *others)
        if not found:
            found.append(loaded())
            from bakeoff.evaluation.cost import forward_flops
            assert forward_flops(state.model, batch.images[:1]) > 0
            found.append([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
            os.kill(os.getpid(), signal.SIGINT)
        return done
    loop.train_step = first_step
    return [main(words), *found]

assert not loaded()
for line in sys.argv[2:]:
    sys.stdout.flush()
    ours, theirs = os.pipe()
    if os.fork() == 0:
        run = [str(path) for path in Path("out").glob("*/*")][-1:]
        os.write(theirs, json.dumps(passed([*line.split(), *run])).encode())
        os._exit(0)
    os.close(theirs)
    os.wait()
    print("FOUND", os.read(ours, 10000).decode())
"""


def test_nothing_needless_is_loaded_until_the_first_step_is_done(tmp_path: Path) -> None:
    """Nor does what follows the last step load torch's compiler."""
    train = (
        "train model=cnn_small data=digits trainer.deterministic=true trainer.ema_decay=0.9 output_dir=out"
    )
    done = subprocess.run(
        [sys.executable, "-c", AFTER_FIRST_STEP, " ".join([*NEEDLESS, *COMPOSES]), train, "resume"],
        cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trained, resumed = (
        json.loads(line.removeprefix("FOUND ")) for line in done.stdout.splitlines() if "FOUND" in line
    )
    assert trained == [75, list(COMPOSES), []], done.stderr
    assert resumed == [75, [], []], done.stderr
