"""A sweep in which nearly every job goes wrong in its own way: what the others lose, and what each row says.

    .venv/bin/python scripts/try_sweep_faults.py

12 jobs, two at once; nine of them raise, exit, crash, are killed, hang, fill their disk (a file system of
4 MB that is mounted at the run's directory; where nothing can be mounted, a limit on the size of files) or
exhaust their memory, each after its first epoch. Then the same command without the faults must finish all of
them, and leave those that had finished as they were, byte for byte. Ends with 1 if it is not so.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faulty_jobs import FAULTS, MODULE, VARIABLE, bits_of, children

LINE = ["train", "-m", "data=digits", "data.train_limit=200", "model=cnn_small", "model.channels=[4]"]
LINE += ["trainer.epochs=3", "trainer.batch_size=50", "sweep.name=faults", "sweep.jobs=2"]
TIMEOUT_SECONDS = 20
FILE_SYSTEM_BYTES = 4 * 2**20


def main() -> int:
    """Prints a row for each job and what was lost; 1 if a job that has no fault did not finish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=12, help="with and without faults")
    parser.add_argument("--faults", nargs="+", default=list(FAULTS), choices=list(FAULTS), metavar="FAULT")
    options = parser.parse_args()
    faults = dict(enumerate(options.faults))
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-faults-"))
    line = [*LINE, f"output_dir={folder}", f"seed={','.join(map(str, range(options.jobs)))}"]
    mounted = _mount(folder, line, faults)
    began = time.monotonic()
    code, _ = _sweep([*line, f"sweep.job_timeout_seconds={TIMEOUT_SECONDS}"], faults)
    seconds = time.monotonic() - began
    sweep = folder / "sweeps" / "faults"
    jobs = json.loads((sweep / "sweep.json").read_text())["jobs"]
    for job in jobs:
        print(f"{faults.get(job['seed'], '-'):26} {job['state']:10} {(job['reason'] or '')[:150]}")
    wrong = [job["seed"] for job in jobs if (job["state"] == "finished") == (job["seed"] in faults)]
    lost = [seed for seed in wrong if seed not in faults]
    print(f"disk: {'a file system of 4 MB' if mounted else 'a limit on the size of files'}")
    print(f"exit code {code} after {seconds:.0f} s; other jobs lost: {len(lost)} (bar: 0)")
    before = {job["folder"]: bits_of(sweep / job["folder"]) for job in jobs if job["state"] == "finished"}
    for run in mounted:
        subprocess.run(["umount", run], check=True)
    code_again, _ = _sweep(line, {})
    jobs = json.loads((sweep / "sweep.json").read_text())["jobs"]
    finished = sum(job["state"] == "finished" for job in jobs)
    changed = [name for name, bits in before.items() if bits_of(sweep / name) != bits]
    print(
        f"the same command without faults: exit code {code_again}, {finished} of {len(jobs)} finished, "
        f"{len(changed)} of {len(before)} finished ones changed (bar: 0)"
    )
    left = children()
    print(f"processes left: {len(left)} (bar: 0)")
    right = not wrong and not changed and not left and (code, code_again) == (7, 0) and finished == len(jobs)
    return 0 if right else 1


def _mount(folder: Path, line: list[str], faults: dict[int, str]) -> list[Path]:
    """A small file system for the run that fills it; empty where nothing can be mounted."""
    seeds = [seed for seed, fault in faults.items() if fault == "fills its disk"]
    _, listed = _sweep([*line, "--dry-run"], {})
    mounted = []
    for seed in seeds:
        name = next(word for word in listed.split() if f"-s{seed}-" in word)
        run = folder / "sweeps" / "faults" / name
        run.mkdir(parents=True)
        if shutil.which("mount") is None:
            continue
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={FILE_SYSTEM_BYTES}", "tmpfs", run],
            check=False, capture_output=True,
        )  # fmt: skip
        if done.returncode == 0:
            mounted.append(run)
    return mounted


def _sweep(words: list[str], faults: dict[int, str]) -> tuple[int, str]:
    environment = os.environ | {VARIABLE: json.dumps(faults)}
    done = subprocess.run(
        [sys.executable, MODULE, "sweep", *words],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 7):
        print(done.stdout, done.stderr)
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
