"""Sweeps that are killed or signalled at random instants: is each run done once, and does nothing stay?

    .venv/bin/python scripts/try_killed_sweeps.py                  # 20 kills, 3 of each signal, 300 jobs
    .venv/bin/python scripts/try_killed_sweeps.py --kills 2 --signals 1 --jobs 40 --seed 3

1. The sweep's process is killed (SIGKILL) at a random instant, and the same command is given again.
2. The same with Ctrl-C, SIGTERM, SIGHUP, SIGQUIT and Ctrl-Z followed by SIGTERM: exit code 75 or 0.
3. Many jobs (a stand-in that trains nothing) of which 5 % are killed at a random instant; the same command
   until all have finished.
After each, the directories of finished runs must be as they were, byte for byte, each combination has one
directory, and after 10 s no process of a job lives. Ends with 1 if one is wrong.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faulty_jobs import KILL_SHARE, MODULE, STAND_IN, bits_of, children

LINE = ["train", "-m", "data=digits", "data.train_limit=200", "model=cnn_small", "model.channels=[4]"]
LINE += ["trainer.epochs=8", "trainer.batch_size=50", "sweep.jobs=2"]
LONGEST_SECONDS = 14.0  # to wait before a signal: about as long as a sweep of 6 jobs takes
SECONDS_TO_END = 10.0
SECONDS_TO_SAVE = 60.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


class Sweep:
    """One sweep, and the bits of its finished runs as they were seen first."""

    def __init__(self, folder: Path, name: str, num_jobs: int, environment: dict[str, str]) -> None:
        self._folder = folder / "sweeps" / name
        self._num_jobs = num_jobs
        self._environment = os.environ | environment
        seeds = ",".join(map(str, range(num_jobs)))
        self._line = [*LINE, f"output_dir={folder}", f"sweep.name={name}", f"seed={seeds}"]
        self.bits: dict[str, str] = {}
        self.faults: list[str] = []

    def start(self) -> "subprocess.Popen[bytes]":
        """The command."""
        return subprocess.Popen(
            [sys.executable, MODULE, "sweep", *self._line],
            env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def look(self) -> int:
        """How many have finished; notes what is not as it should be."""
        end = time.monotonic() + SECONDS_TO_END
        while children() and time.monotonic() < end:
            time.sleep(0.1)
        if left := children():
            self.faults.append(f"{len(left)} processes outlived the sweep")
        runs = [path.parent for path in self._folder.glob("*/config.json")]
        if len(runs) > self._num_jobs:
            self.faults.append(f"{len(runs)} directories for {self._num_jobs} runs")
        for run in runs:
            if (run / "summary.json").exists():
                bits = bits_of(run)
                if self.bits.setdefault(run.name, bits) != bits:
                    self.faults.append(f"{run.name} changed after it had finished")
        return len(self.bits)

    @property
    def is_done(self) -> bool:
        """Whether all have finished."""
        return len(self.bits) == self._num_jobs


def main() -> int:
    """Prints a line for each part; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", type=int, default=3, help="of each kind")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--kill-share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-killed-"))
    faults = _interrupted(folder, [signal.SIGKILL] * options.kills, chance, "killed")
    signals = [number for number in SIGNALS for _ in range(options.signals)]
    faults += _interrupted(folder, signals, chance, "signalled")
    faults += _many(folder, options.jobs, options.kill_share)
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


def _interrupted(folder: Path, signals: list[signal.Signals], chance: random.Random, what: str) -> list[str]:
    """Sends a signal at a random instant, and gives the same command again."""
    if not signals:
        return []
    sweeps = [Sweep(folder, f"{what}-0", 6, {})]
    landed = 0
    for number in signals:
        if sweeps[-1].is_done:
            sweeps.append(Sweep(folder, f"{what}-{len(sweeps)}", 6, {}))
        sweep = sweeps[-1]
        process = sweep.start()
        time.sleep(chance.uniform(0.1, LONGEST_SECONDS))
        landed += bool(children())
        process.send_signal(number)
        if number == signal.SIGTSTP:
            time.sleep(0.5)
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        code = process.wait(SECONDS_TO_SAVE)
        # A signal in the first moments of Python itself has its usual effect.
        if number != signal.SIGKILL and code not in (0, 75, -number, -signal.SIGTERM):
            sweep.faults.append(f"{number.name}: exit code {code}")
        sweep.look()
    for sweep in sweeps:
        while not sweep.is_done and not sweep.faults:
            sweep.start().wait()
            sweep.look()
    faults = [fault for sweep in sweeps for fault in sweep.faults]
    print(
        f"{what} {len(signals)} times, {landed} of them while jobs ran, {len(sweeps)} sweeps of 6 runs: "
        f"{sum(len(sweep.bits) for sweep in sweeps)} runs finished once, {len(faults)} faults (bar: 0)"
    )
    return faults


def _many(folder: Path, num_jobs: int, share: float) -> list[str]:
    """The same command until all of many short jobs have finished."""
    if not num_jobs:
        return []
    template = Sweep(folder, "template", 1, {})
    template.start().wait()
    (run,) = (path.parent for path in (folder / "sweeps" / "template").glob("*/summary.json"))
    many = Sweep(folder, "many", num_jobs, {STAND_IN: str(run), KILL_SHARE: str(share)})
    began, commands = time.monotonic(), 0
    while not many.is_done and not many.faults:
        commands += 1
        many.start().wait()
        many.look()
    attempts = len(list((folder / "sweeps" / "many").glob("*/attempts/[0-9]*")))
    states = {
        job["state"] for job in json.loads((folder / "sweeps" / "many" / "sweep.json").read_text())["jobs"]
    }
    print(
        f"{num_jobs} jobs, {share:.0%} of them killed: {len(many.bits)} of {num_jobs} finished with "
        f"{commands} commands and {attempts} starts in {time.monotonic() - began:.0f} s; in the ledger: "
        f"{', '.join(sorted(states))}; {len(many.faults)} faults (bar: 0)"
    )
    return many.faults


if __name__ == "__main__":
    sys.exit(main())
