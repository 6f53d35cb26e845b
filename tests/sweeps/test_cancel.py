"""`bakeoff cancel`: the process that works on a sweep is asked to stop, and waited for."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Bakeoff
from written_sweep import WrittenSweep

from bakeoff.commands import cancel
from bakeoff.runs.states import INTERRUPTED

# In place of a sweep's process: it sees the request, lets its job save, and ends; or it is killed by two signals.
STAND_IN = """
import signal, sys, time
from pathlib import Path
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps.ledger import CANCEL, now, read_ledger
folder = Path(sys.argv[1])
counts = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda *_: counts.append(1))
ledger = read_ledger(folder)
name = next(iter(ledger.entries))
RunDir(folder / name).write_status("running", 3)
ledger.set(name, state="running", started=now())
ledger.write(owned=True)
print("works", flush=True)
while len(counts) < 2 and not ((folder / CANCEL).exists() and "deaf" not in sys.argv):
    time.sleep(0.02)
how = "killed" if len(counts) == 2 else "saved"
time.sleep(0.1)
RunDir(folder / name).write_status("interrupted", 7, how)
ledger.set(name, state="interrupted", reason=how, ended=now())
ledger.write(owned=False)
"""


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WrittenSweep:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "outputs"))
    sweep = WrittenSweep(tmp_path / "outputs" / "sweeps" / "night", ["cnn", "vit", "cnn"])
    sweep.finish(2, 0.5, took=1)
    sweep.write(owned=False)
    return sweep


@contextmanager
def worked_on(sweep: WrittenSweep, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that works on it; it is gone after the block."""
    command = [sys.executable, "-c", STAND_IN, str(sweep.folder), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "works\n"
            yield process
        finally:
            process.kill()


def soon(act: Callable[[], None]) -> None:
    def work() -> None:
        time.sleep(0.15)
        act()

    threading.Thread(target=work).start()


def reason(sweep: WrittenSweep) -> str:
    return str(sweep.status(0)["error"])


def test_it_waits_until_the_jobs_have_saved(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    with worked_on(night) as process:
        code, out, err = bakeoff("cancel", "night")
        assert process.wait(5) == 0  # before the command was over, or soon after
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "stopping sweep night: running runs are saved first (1 of them; --now: they are not)",
        "sweep night has stopped: 1 of 3 runs finished",
        "next           bakeoff resume night",
    ]
    assert reason(night) == "saved"
    assert not (night.folder / ".cancel").exists()


@pytest.mark.slow  # a process and two signals, half a second apart
def test_now_kills_what_does_not_listen(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    with worked_on(night, "deaf"):
        code, out, _ = bakeoff("cancel", str(night.folder), "--now")
    assert code == 0
    assert out.splitlines()[0] == "sweep night has stopped: 1 of 3 runs finished"
    assert reason(night) == "killed"


@pytest.mark.slow  # a process
def test_ctrl_c_leaves_the_waiting_alone(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    with worked_on(night, "deaf"):
        soon(lambda: os.kill(os.getpid(), signal.SIGINT))
        code, out, _ = bakeoff("cancel", "night")
        assert (night.folder / ".cancel").exists()  # it still stops, once it listens
    assert code == 75
    assert out.splitlines()[-1] == ("the sweep stops without this command, too; see it: bakeoff watch night")


@pytest.mark.slow  # a process
def test_a_killed_parent_has_stopped_as_well(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    with worked_on(night, "deaf") as process:
        soon(process.kill)
        code, out, _ = bakeoff("cancel", "night")
    assert code == 0
    assert "has stopped: 1 of 3 runs finished, 1 failed" in out  # its job's process is gone, too
    assert not (night.folder / ".cancel").exists()


def test_nobody_works_on_it(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    (night.folder / ".cancel").touch()
    for _ in range(2):
        code, out, err = bakeoff("cancel", "latest")
        assert (code, err) == (0, "")
        assert out.splitlines() == [
            "sweep night: nobody works on it; 1 of 3 runs finished",
            "next           bakeoff resume night",
        ]
        assert not (night.folder / ".cancel").exists()  # it would stop the next one
    for number in (0, 1):
        night.finish(number, 0.5, took=1)
    night.write(owned=False)
    assert bakeoff("cancel", "night")[1].splitlines()[-1] == f"next           bakeoff compare {night.folder}"


def test_a_run_is_no_sweep(night: WrittenSweep, bakeoff: Bakeoff, tmp_path: Path) -> None:
    night.end(1, INTERRUPTED, "x")
    run = tmp_path / "outputs" / "2026-01-01" / "101010-cnn-digits-s0-abcd"
    run.mkdir(parents=True)
    (run / "status.json").write_text("{}")
    for name in (str(night.run(1)), night.entries[1].folder):
        code, _, err = bakeoff("cancel", name)
        assert (code, err) == (
            2, f"error: {night.run(1)}: a run of sweep night; stop the whole sweep: bakeoff cancel night\n",
        )  # fmt: skip
    assert bakeoff("cancel", "1010")[::2] == (
        2,
        f"error: {run}: a single run; stop it by Ctrl-C in its terminal\n",
    )
    assert bakeoff("cancel")[::2] == (
        2,
        "error: which sweep? write bakeoff cancel SWEEP; bakeoff watch shows the one that runs\n",
    )
    assert "no sweep of this name" in bakeoff("cancel", "day")[2]
    assert not list(tmp_path.rglob(".cancel"))


def test_nobody_works_on_a_sweep_that_cannot_be_written(
    night: WrittenSweep, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_read_only(_self: Path, *, missing_ok: bool) -> None:
        raise OSError(errno.EROFS, f"read-only {missing_ok}")

    monkeypatch.setattr(Path, "unlink", is_read_only)
    code, _, err = bakeoff("cancel", "night")
    assert (code, err) == (0, "")


def test_a_ledger_of_anybody_names_no_process_to_kill(
    night: WrittenSweep, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel.os, "kill", lambda _, number: number and pytest.fail("kills some process"))
    night.write()
    file = night.folder / "sweep.json"
    ledger = json.loads(file.read_text())
    ledger["parent"] |= {"pid": os.getppid(), "process_started": None}
    file.write_text(json.dumps(ledger))
    code, _, err = bakeoff("cancel", "night", "--now")
    assert (code, "leave out --now" in err) == (2, True)


def test_a_sweep_of_another_machine_is_asked_and_not_killed(
    night: WrittenSweep, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel.os, "kill", lambda *_: pytest.fail("kills a process of this machine"))
    night.write()
    file = night.folder / "sweep.json"
    ledger = json.loads(file.read_text())
    ledger["parent"]["host"] = "elsewhere"
    file.write_text(json.dumps(ledger))
    code, _, err = bakeoff("cancel", "night", "--now")
    assert (code, "it runs on elsewhere" in err) == (2, True)
    assert not (night.folder / ".cancel").exists()

    def stops_there() -> None:
        assert (night.folder / ".cancel").exists()
        file.write_text(json.dumps(ledger | {"parent": None}))

    soon(stops_there)
    assert bakeoff("cancel", "night")[0] == 0
