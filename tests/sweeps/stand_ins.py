"""Small programs in place of a sweep's jobs: they load nothing, and the scheduler cannot tell."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakeoff.config.schema import SweepConfig
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.states import RunState
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.ledger import Entry, Ledger, now
from bakeoff.sweeps.scheduler import Scheduler

# What every program begins with: `run`, and what a job does to its directory.
PRELUDE = """
import ctypes, json, os, signal, socket, sys, time
run = sys.argv[1]
def write(name, **values):
    with open(f"{run}/{name}", "w") as file:
        json.dump(values, file)
def says(status, error=None, pid=os.getpid()):
    start = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]
    boot = open("/proc/sys/kernel/random/boot_id").read().strip()
    write("status.json", status=status, step=3, error=error, host=socket.gethostname(), pid=pid,
          process_started=f"{boot} {start}", heartbeat="2026-01-01T00:00:00+00:00")
def saves(*_):
    says("interrupted", "stopped by SIGTERM in step 3, epoch 1")
    os._exit(75)
def finishes():
    write("summary.json", test={})
    sys.exit(0)
signal.signal(signal.SIGTERM, saves)
says("running")
open(f"{run}/began", "a").write(f"{os.getpid()} {time.time()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
"""
FINISHES = "finishes()"
WAITS = "time.sleep(60)"


class Seen:
    """A view that remembers."""

    def __init__(self) -> None:
        self.ended_jobs: dict[str, RunState] = {}
        self.told: list[str] = []

    def started(self, entry: Entry) -> None:
        self.told.append(f"{entry.folder} started")

    def ended(self, entry: Entry, state: RunState) -> None:
        self.told.append(f"{entry.folder} {state.state}")
        self.ended_jobs[entry.folder] = state

    def say(self, text: str) -> None:
        self.told.append(text)

    def tick(self) -> None:
        pass

    def pause(self) -> None:
        self.told.append("paused")

    def go_on(self) -> None:
        self.told.append("went on")


def use_programs(monkeypatch: pytest.MonkeyPatch, programs: Sequence[str]) -> None:
    """The job of folder `0` is the first program, and so on."""
    texts = repr([*programs])
    main = f"{PRELUDE}\nexec({texts}[int(os.path.basename(run))])"
    monkeypatch.setattr("bakeoff.sweeps.child._PYTHON", (sys.executable, "-S", "-c", main))


def make_ledger(folder: Path, count: int, **options: object) -> Ledger:
    """A sweep whose directories are waiting."""
    ledger = Ledger(folder / "sweeps" / "night", ["seed=0"], now(), options=SweepConfig(**options))  # type: ignore[arg-type]
    ledger.folder.mkdir(parents=True)
    names = [str(number) for number in range(count)]
    ledger.add(Entry(name, name * 64, "s", f"seed={name}", "cnn", "digits", int(name)) for name in names)
    for entry in ledger.entries.values():
        RunDir.create(ledger.run(entry)).write_status("queued", 0)
    return ledger


def schedule(ledger: Ledger, at_once: int, stop: StopSignal | None = None) -> tuple[Scheduler, Seen]:
    """Runs all of them."""
    seen = Seen()
    stop = stop or StopSignal()
    scheduler = Scheduler(ledger, [Slot(1)] * at_once, dict.fromkeys(ledger.entries, "data"), seen, stop)
    with stop.caught():
        scheduler.run(list(ledger.entries.values()))
    return scheduler, seen
