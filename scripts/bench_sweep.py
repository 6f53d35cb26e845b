"""What a sweep gains by runs at once, and what it costs beside its runs' own processes.

    .venv/bin/python scripts/bench_sweep.py                               # 12 runs, 2 rounds, 40 stand-ins
    .venv/bin/python scripts/bench_sweep.py --jobs 4 --rounds 1 data=digits model=cnn

1. The same runs one at a time with all cores, and `--at-once` at once with a part of them each, in turn
   (A B A B): seconds of the whole command, and the ratio, as the median over the pairs. KEY=VALUE are
   those of `bakeoff train`; the seeds are the script's.
2. Runs that are stand-ins and train nothing: the seconds of the whole command less those of the processes
   of its runs, from their start to their end. By two numbers of runs that is parted into what comes with
   each run and what comes once (the command's own start, the check of all runs, the comparison).
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faulty_jobs import MODULE, OWN_SECONDS, STAND_IN

SHORT_CNN = ["data=mnist", "data.train_limit=12000", "model=cnn", "trainer.epochs=3"]
TINY = ["data=digits", "data.train_limit=200", "model=cnn_small", "model.channels=[4]", "trainer.epochs=1"]
GAIN_BAR, OVERHEAD_BAR = 1.3, 0.5


class Sweeps:
    """Sweeps in one outputs root, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.cores_used = 0.0  # by the last sweep, on average: fewer than it could use if others used them
        # One thread by the environment would take from the runs that are alone what they should have.
        self._environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}

    def seconds(self, line: list[str], num_jobs: int, at_once: int, template: Path | None = None) -> float:
        """Wall time of a whole command."""
        self._count += 1
        seeds = ",".join(map(str, range(num_jobs)))
        words = ["train", "-m", *line, f"seed={seeds}", f"sweep.jobs={at_once}", f"output_dir={self._folder}"]
        stands = {STAND_IN: str(template)} if template else {}
        began, used = time.monotonic(), _processor_seconds()
        done = subprocess.run(
            [sys.executable, MODULE, "sweep", *words, f"sweep.name=number-{self._count}"],
            env=self._environment | stands, capture_output=True, text=True, check=False,
        )  # fmt: skip
        took = time.monotonic() - began
        self.cores_used = (_processor_seconds() - used) / took
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return took

    def runs(self) -> list[Path]:
        """Finished ones of the last sweep."""
        sweep = self._folder / "sweeps" / f"number-{self._count}"
        return [path.parent for path in sweep.glob("*/summary.json")]


def _processor_seconds() -> float:
    """Of all processes that this one has waited for, and that they have."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints a line for each figure, with its bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=12, help="runs of a sweep that trains")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="0: only the stand-ins")
    parser.add_argument("--stand-ins", type=int, default=40, help="0: only the runs that train")
    parser.add_argument("line", nargs="*", metavar="KEY=VALUE", help=f"without any: {' '.join(SHORT_CNN)}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bakeoff-sweeps-") as folder:
        sweeps = Sweeps(Path(folder))
        if options.rounds:
            gain(sweeps, options.line or SHORT_CNN, options.jobs, options.at_once, options.rounds)
        if options.stand_ins:
            overhead(sweeps, options.stand_ins)


def gain(sweeps: Sweeps, line: list[str], num_jobs: int, at_once: int, rounds: int) -> None:
    """Runs at once against one at a time."""
    print(f"{num_jobs} runs of {' '.join(line)}", flush=True)
    ratios = []
    for number in range(1, rounds + 1):
        alone, cores_alone = sweeps.seconds(line, num_jobs, 1), sweeps.cores_used
        side = sweeps.seconds(line, num_jobs, at_once)
        ratios.append(alone / side)
        print(
            f"round {number}: one at a time {alone:.1f} s on {cores_alone:.1f} cores, {at_once} at once "
            f"{side:.1f} s on {sweeps.cores_used:.1f}: {alone / side:.2f} times",
            flush=True,
        )
    print(f"throughput: {statistics.median(ratios):.2f} times (bar: at least {GAIN_BAR})")


def overhead(sweeps: Sweeps, num_jobs: int) -> None:
    """What comes on top of the processes of the runs."""
    sweeps.seconds(TINY, 1, 1)
    (template,) = sweeps.runs()
    few = max(1, num_jobs // 4)
    rest = {}
    for count in (few, num_jobs):
        whole = sweeps.seconds(TINY, count, 1, template)
        own = [float((run / OWN_SECONDS).read_text()) for run in sweeps.runs()]
        rest[count] = whole - sum(own)
        print(f"{count} stand-ins: {whole:.1f} s, of which {sum(own):.1f} s are their own", flush=True)
    each = (rest[num_jobs] - rest[few]) / (num_jobs - few)
    once = rest[few] - few * each
    print(f"overhead: {each:.3f} s for each run (bar: under {OVERHEAD_BAR}), and {once:.1f} s once")


if __name__ == "__main__":
    main()
