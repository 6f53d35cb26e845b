"""Many that want a run directory at one instant: does each get one of its own?

    .venv/bin/python scripts/try_claims.py                         # 1,000 claims, 12 command lines
    .venv/bin/python scripts/try_claims.py --claims 50 --commands 0

1. Processes wait at a barrier, then claim directories of the same model, data and seed.
2. As many processes want the very same directory: one must get it.
3. Whole `bakeoff train` command lines, started within the same second.
Ends with 1 if two have one directory, or one has none.
"""

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.runs.rundir import RunDir, single_run_folder, sweep_run_folder

PROCESSES = 20
Claim = Callable[[Path, int], Path]  # the name of what is claimed
LINE = ["train", "data=digits", "data.train_limit=200", "model=cnn_small", "model.channels=[4]"]
LINE += ["trainer.epochs=1", "trainer.threads=1"]


def main() -> int:
    """Prints a line for each part; 1 if a directory is missing or has two owners."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--claims", type=int, default=1000)
    parser.add_argument("--commands", type=int, default=12)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-claims-"))
    each = options.claims // PROCESSES
    claimed = sum(_at_once(_claim_own, folder / "own", each))
    made = len(list((folder / "own").glob("*/*")))
    print(f"{each * PROCESSES} claims at one barrier: {claimed} succeeded, {made} directories")
    right = claimed == made == each * PROCESSES
    winners = _at_once(_claim_same, folder / "same", each)
    print(f"{each} directories, each wanted by {PROCESSES} processes: {sum(winners)} claims succeeded")
    right &= sum(winners) == each
    if options.commands:
        began = time.monotonic()
        line = [sys.executable, "-m", "bakeoff", *LINE, f"output_dir={folder / 'commands'}"]
        started = [
            subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(options.commands)
        ]
        within = time.monotonic() - began
        codes = [process.wait() for process in started]
        made = len(list((folder / "commands").glob("*/*/summary.json")))
        print(
            f"{options.commands} command lines started within {within:.2f} s: {codes.count(0)} succeeded, "
            f"{made} directories"
        )
        right &= codes.count(0) == made == options.commands
    return 0 if right else 1


def _at_once(claim: Claim, folder: Path, each: int) -> list[int]:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    workers = [
        context.Process(target=lambda: results.put(_claims(claim, folder, each, barrier)))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return found


def _claims(claim: Claim, folder: Path, each: int, barrier: Barrier) -> int:
    succeeded = 0
    barrier.wait()
    for number in range(each):
        try:
            RunDir.create_named(partial(claim, folder, number))
        except ConfigError:
            continue
        succeeded += 1
    return succeeded


def _claim_own(folder: Path, _: int) -> Path:
    return single_run_folder(str(folder), "cnn", "digits", 0)


def _claim_same(folder: Path, number: int) -> Path:
    return sweep_run_folder(str(folder), "s", "cnn", "digits", number, "0" * 64)


if __name__ == "__main__":
    sys.exit(main())
