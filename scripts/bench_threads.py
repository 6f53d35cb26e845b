"""How OpenMP's threads should wait: ms of a CNN training step, alone and beside two busy processes.

usage: .venv/bin/python scripts/bench_threads.py [--repeats 3]

Each figure is the median over fresh processes of the median over 60 steps; needs no data.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SETTINGS = {
    "OpenMP's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
STEP = """
import statistics, time, torch
from bakeoff import loop, optim
from bakeoff.compose import expand, parse_arguments
from bakeoff.config import check
from bakeoff.data.batches import Batch
from bakeoff.models.base import TaskSpec, check_model
from bakeoff.runtime import set_up
from bakeoff.state import start
values = expand(parse_arguments([]))[0][0].values
config, (family, model_config) = check(values), check_model(values)
runtime = set_up(config.trainer, family.AUTO_PRECISION)
task = TaskSpec(1, 28, 28, tuple("0123456789"), mean=(0.13,), std=(0.31,))
model = family.build(model_config, task).to(memory_format=torch.channels_last)
state = start(model, optim.make_optimizer(model.parameter_groups(), config.optim), runtime)
images = torch.randint(0, 256, (128, 1, 28, 28), dtype=torch.uint8)
batch = Batch(images, torch.randint(0, 10, (128,)), torch.arange(128))
seconds = []
for _ in range(70):
    begin = time.perf_counter()
    loop.train_step(state, batch, 1.0, runtime)
    seconds.append(time.perf_counter() - begin)
print(1000 * statistics.median(seconds[10:]), torch.get_num_threads(), runtime.precision, torch.__version__)
"""


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Processes that compute all the time, as another user of the machine would."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measure(setting: dict[str, str]) -> tuple[float, str]:
    """Milliseconds of a step in a fresh process, and on what."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", STEP]
    done = subprocess.run(command, env=kept | setting, capture_output=True, text=True, check=True)
    milliseconds, *machine = done.stdout.split()
    return float(milliseconds), " ".join(machine)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print(f"{'ms per step':26}{'alone':>10}{'beside two':>12}")
    for name, setting in SETTINGS.items():
        figures = []
        for others in (0, 2):
            with busy_processes(others):
                figures.append(statistics.median(measure(setting)[0] for _ in range(repeats)))
        print(f"{name:26}{figures[0]:10.1f}{figures[1]:12.1f}", flush=True)
    print(f"threads, precision, torch: {measure({})[1]}")


if __name__ == "__main__":
    main()
