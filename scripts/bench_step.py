"""Milliseconds of a training step: by precision and layout, and by how OpenMP's threads wait.

usage: .venv/bin/python scripts/bench_step.py [--repeats 3] [--steps 60] [--no-threads] [KEY=VALUE ...]

Each figure is the median over fresh processes of the median over the steps, on noise of MNIST's shape;
KEY=VALUE are those of `bakeoff train`, such as model=vit or trainer.batch_size=256.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SETTINGS = {
    "OpenMP's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
VARIANTS = {
    "bf16, channels last": ["trainer.precision=bf16"],
    "fp32, channels last": ["trainer.precision=fp32"],
    "bf16, channels first": ["trainer.precision=bf16", "trainer.channels_last=false"],
}
STEP = """
import statistics, sys, time, torch
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.experiment.first_gate import check_shared
from bakeoff.data.batches import Batch
from bakeoff.models.base import TaskSpec, auto_precision, check_model
from bakeoff.machine.runtime import set_up
from bakeoff.training import loop, optim
from bakeoff.training.state import start
num_steps = int(sys.argv[1])
values = expand(parse_arguments(sys.argv[2:]))[0][0].values
config, (family, model_config) = check_shared(values), check_model(values)
runtime = set_up(config.trainer, auto_precision(family, model_config))
task = TaskSpec(1, 28, 28, tuple("0123456789"), mean=(0.13,), std=(0.31,))
model = family.build(model_config, task)
if runtime.channels_last:
    model = model.to(memory_format=torch.channels_last)
state = start(model, optim.make_optimizer(model.parameter_groups(), config.optim), config.trainer, runtime)
count = config.trainer.batch_size
images = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8)
batch = Batch(images, torch.randint(0, 10, (count,)), torch.arange(count))
seconds = []
for _ in range(num_steps + 10):
    begin = time.perf_counter()
    loop.train_step(state, batch, config, runtime)
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


def measure(setting: dict[str, str], num_steps: int, overrides: Sequence[str]) -> tuple[float, str]:
    """Milliseconds of a step in a fresh process, and on what."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", STEP, str(num_steps), *overrides]
    done = subprocess.run(command, env=kept | setting, capture_output=True, text=True, check=True)
    milliseconds, *machine = done.stdout.split()
    return float(milliseconds), " ".join(machine)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-threads", action="store_true", help="leave the second table out")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*")
    options = parser.parse_args()
    repeats, steps, given = options.repeats, options.steps, options.overrides
    chosen = SETTINGS["GOMP_SPINCOUNT=10000"]
    print(f"ms per step of {' '.join(given) or 'model=cnn'}, in turn")
    rounds = [
        {name: measure(chosen, steps, [*given, *lines])[0] for name, lines in VARIANTS.items()}
        for _ in range(repeats)
    ]
    for name in VARIANTS:
        print(f"{name:26}{statistics.median(figures[name] for figures in rounds):10.1f}")
    if options.no_threads:
        return
    print(f"\n{'ms per step':26}{'alone':>10}{'beside two':>12}", flush=True)
    for name, setting in SETTINGS.items():
        figures = []
        for others in (0, 2):
            with busy_processes(others):
                figures.append(statistics.median(measure(setting, steps, given)[0] for _ in range(repeats)))
        print(f"{name:26}{figures[0]:10.1f}{figures[1]:12.1f}", flush=True)
    print(f"threads, precision, torch: {measure({}, steps, given)[1]}")


if __name__ == "__main__":
    main()
