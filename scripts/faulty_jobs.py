"""Sweeps whose jobs go wrong on purpose, or train nothing.

What `try_sweep_faults.py`, `try_killed_sweeps.py` and `bench_sweep.py` share.

    python faulty_jobs.py sweep ARGUMENTS OF BAKEOFF     a sweep whose jobs are started by this file, too
    python faulty_jobs.py RUN_DIR --identity ...         a job of it

`BAKEOFF_FAULTS` is a JSON object: the seed of a run -> what it does after its first epoch. With
`BAKEOFF_STAND_IN` (a run directory) a job trains nothing: it writes what that run has, as its own;
`BAKEOFF_KILL_SHARE` of them are killed at a random instant.
"""

import ctypes
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODULE = Path(__file__)
VARIABLE, STAND_IN, KILL_SHARE = "BAKEOFF_FAULTS", "BAKEOFF_STAND_IN", "BAKEOFF_KILL_SHARE"
OWN_SECONDS = "own_seconds"  # the file in which a stand-in says how long its process lived
BYTES_MORE = 64 * 2**20


def _raise(_: Path) -> None:
    raise ValueError("on purpose")


def _segfault(_: Path) -> None:
    ctypes.string_at(0)


def _hang(_: Path) -> None:
    time.sleep(3600)


def _hang_deaf(_: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def _fill_disk(run: Path) -> None:
    """Until there is no room: on a small disk of its own, or by a limit of a file's size."""
    if not os.path.ismount(run):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return
    with open(run / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65_536))
        except OSError:
            pass


def _exhaust_memory(_: Path) -> None:
    import torch

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES_MORE, used + BYTES_MORE))
    torch.zeros(8 * BYTES_MORE, dtype=torch.uint8)


FAULTS: dict[str, Callable[[Path], None]] = {
    "raises": _raise,
    "calls sys.exit": lambda _: sys.exit(3),
    "calls os._exit": lambda _: os._exit(9),
    "segfaults": _segfault,
    "is killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "hangs": _hang,
    "hangs and hears no signal": _hang_deaf,
    "fills its disk": _fill_disk,
    "exhausts its memory": _exhaust_memory,
}


def _job() -> None:
    from bakeoff.experiment import part
    from bakeoff.sweeps import job

    run = Path(sys.argv[1])
    seed = str(json.loads((run / "config.json").read_text())["seed"])
    fault = json.loads(os.environ.get(VARIABLE, "{}")).get(seed)
    fit = part.fit

    def faulty(*arguments: Any, **options: Any) -> Iterator[Any]:
        for event in fit(*arguments, **options):
            yield event
            if fault:
                FAULTS[fault](run)

    part.fit = faulty
    job.main()


def _stand_in(template: Path) -> None:
    from bakeoff.runs import attempts
    from bakeoff.runs.rundir import RunDir
    from bakeoff.runs.storage import write_json
    from bakeoff.sweeps.child import end_with

    words = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    end_with(int(words["--parent"]))
    run = Path(sys.argv[1])
    attempts.begin(run, {"from_step": 0, "seconds_before": 0.0, "device_name": "none"})
    RunDir(run).write_status("running", 0)
    instant = random.uniform(0, 0.1)
    if random.random() < float(os.environ.get(KILL_SHARE, "0")):
        signal.setitimer(signal.ITIMER_REAL, instant)  # its signal ends a process that does not handle it
    time.sleep(0.05)
    summary = json.loads((template / "summary.json").read_text())
    seed = json.loads((run / "config.json").read_text())["seed"]
    summary |= {"run_id": run.name, "identity": words["--identity"], "seed": seed}
    for name in ("predictions.npz", "environment.json"):
        shutil.copyfile(template / name, run / name)
    write_json(run / "summary.json", summary)
    RunDir(run).write_status("finished", 1)
    (run / OWN_SECONDS).write_text(str(_seconds_since_start()))


def _seconds_since_start() -> float:
    """Since this process was started, by proc(5)'s stat."""
    ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def children() -> list[int]:
    """Processes of jobs that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--jobs-at-once" in words and os.fsencode(MODULE) in words:
            found.append(int(path.parent.name))
    return found


def bits_of(run: Path) -> str:
    """A hash of all that is in a run directory."""
    files = sorted(path for path in run.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(bytes(path) + path.read_bytes() for path in files)).hexdigest()


def main() -> None:
    """Either of both."""
    if sys.argv[1:] == ["--help"]:  # it is no program of its own
        return
    if sys.argv[1] != "sweep":
        template = os.environ.get(STAND_IN)
        if template:
            _stand_in(Path(template))
            return
        _job()
    from bakeoff import cli
    from bakeoff.sweeps import child

    child._PYTHON = (sys.executable, "-P", __file__)
    sys.argv = ["bakeoff", *sys.argv[2:]]
    cli.run_as_process()


if __name__ == "__main__":
    main()
