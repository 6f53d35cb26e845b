"""The scheduler, with small programs for jobs: whatever one of them does costs no other one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from stand_ins import FINISHES, WAITS, Seen, make_ledger, schedule, use_programs

from bakeoff.errors import ResourceError
from bakeoff.machine.signals import StopSignal
from bakeoff.runs.rundir import RunDir
from bakeoff.sweeps import child, scheduler
from bakeoff.sweeps.child import Slot
from bakeoff.sweeps.ledger import CANCEL, Ledger, read_ledger
from bakeoff.sweeps.outcome import in_words, last_line
from bakeoff.sweeps.scheduler import Scheduler

MEMORY = " (the system does that when memory runs out; lower trainer.batch_size)"
ENDS = [
    (FINISHES, "finished", None),
    (
        "sys.stderr.write('error: no such thing\\n\\n'); os._exit(3)",
        "failed",
        "ended with exit code 3; no such thing",
    ),
    ("sys.exit(0)", "failed", "ended with exit code 0"),
    ("os.kill(os.getpid(), signal.SIGKILL)", "failed", f"ended by SIGKILL{MEMORY}"),
    (
        "import faulthandler; faulthandler.enable(); ctypes.string_at(0)",
        "failed",
        "ended by SIGSEGV; Fatal Python error: Segmentation fault",
    ),
    ("says('failed', 'MemoryError: '); sys.exit(4)", "failed", "MemoryError: "),
    ("says('diverged', 'no finite loss'); sys.exit(5)", "diverged", "no finite loss"),
    ("saves()", "interrupted", "stopped by SIGTERM in step 3, epoch 1"),
    ("os.remove(f'{run}/status.json'); os._exit(9)", "failed", "ended with exit code 9"),
    ("says('finished'); sys.exit(0)", "failed", "not finished: no summary.json"),
    (f"says('running', pid={os.getppid()}); sys.exit(6)", "failed", "another process works on it"),
    (FINISHES, "finished", None),
]


def test_whatever_a_job_does_costs_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_programs(monkeypatch, [program for program, _, _ in ENDS])
    ledger = make_ledger(tmp_path, len(ENDS))
    done, seen = schedule(ledger, 4)
    found = {name: (state.state, state.reason) for name, state in seen.ended_jobs.items()}
    assert found == {str(n): (state, reason) for n, (_, state, reason) in enumerate(ENDS)}
    assert sorted(done.failed, key=int) == [str(n) for n in range(1, 11)]
    stored = read_ledger(ledger.folder)
    assert {name: entry.state for name, entry in stored.entries.items()} == {
        name: state for name, (state, _) in found.items()
    }
    # What only the parent knows is in the directory, too; what is another process's is not touched.
    statuses = [json.loads((ledger.folder / str(n) / "status.json").read_text()) for n in (3, 10)]
    assert [status["status"] for status in statuses] == ["failed", "running"]
    assert statuses[0]["error"] == f"ended by SIGKILL{MEMORY}"


def test_what_an_earlier_start_has_said_is_not_said_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bakeoff.sweeps.child._PYTHON", (sys.executable, "-S", "-c", "import os; os._exit(6)")
    )
    ledger = make_ledger(tmp_path, 2)
    for folder, state in (("0", "interrupted"), ("1", "failed")):
        RunDir(ledger.folder / folder).write_status(state, 7, "stopped last week")
    _, seen = schedule(ledger, 1)
    told = [(state.state, state.reason, state.step) for state in seen.ended_jobs.values()]
    assert told == [("failed", "ended with exit code 6", 7)] * 2


def test_an_exit_code_without_a_log_says_what_it_may_be() -> None:
    assert in_words(4) == "ended with exit code 4 (it could not write, or memory ran out)"
    assert in_words(3) == "ended with exit code 3"


def test_as_many_run_at_once_as_there_are_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_programs(
        monkeypatch, [f"time.sleep(0.3); open(run + '/ended', 'w').write(str(time.time())); {FINISHES}"] * 5
    )
    ledger = make_ledger(tmp_path, 5)
    stop = StopSignal()
    jobs = Scheduler(
        ledger, [Slot(1, "GPU-a"), Slot(1, "1")], dict.fromkeys(ledger.entries, ""), Seen(), stop
    )
    with stop.caught():
        assert jobs.run(list(ledger.entries.values())) == []
    moments, gpus = [], []
    for n in range(5):
        _, began, gpu = (ledger.folder / str(n) / "began").read_text().split()
        moments += [(float(began), 1), (float((ledger.folder / str(n) / "ended").read_text()), -1)]
        gpus.append(gpu)
    running, most = 0, 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    assert most == 2
    assert set(gpus[:2]) == {"GPU-a", "1"} == set(gpus)


def test_a_job_that_takes_too_long_may_save_and_is_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
    use_programs(monkeypatch, [WAITS, deaf, FINISHES])
    monkeypatch.setattr(scheduler, "_SECONDS_TO_SAVE", 0.3)
    began = time.monotonic()
    _, seen = schedule(make_ledger(tmp_path, 3, job_timeout_seconds=2.0), 3)
    assert time.monotonic() - began < 10
    told = (
        "took longer than sweep.job_timeout_seconds=2; the sweep's command with a larger one goes on with it"
    )
    assert {name: (state.state, state.reason) for name, state in seen.ended_jobs.items()} == {
        "0": ("failed", told), "1": ("failed", told), "2": ("finished", None),
    }  # fmt: skip


def test_a_job_without_a_sign_of_life_is_ended_and_one_that_computes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computes = f"end = time.time() + 3\nwhile time.time() < end: pass\n{FINISHES}"
    writes = f"for n in range(30):\n    says('running'); time.sleep(0.1)\n{FINISHES}"
    use_programs(monkeypatch, [WAITS, computes, writes])
    monkeypatch.setattr(scheduler, "_SILENT_MINUTES", 1.5 / 60)
    _, seen = schedule(make_ledger(tmp_path, 3), 3)
    assert {name: state.state for name, state in seen.ended_jobs.items()} == {
        "0": "failed", "1": "finished", "2": "finished",
    }  # fmt: skip
    assert str(seen.ended_jobs["0"].reason).startswith("hung: no sign of life")


def test_the_first_failure_ends_a_sweep_that_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_programs(monkeypatch, ["sys.exit(3)", f"time.sleep(1.5); {FINISHES}", FINISHES, FINISHES])
    _, seen = schedule(make_ledger(tmp_path, 4, on_failure="stop"), 2)
    assert {name: state.state for name, state in seen.ended_jobs.items()} == {"0": "failed", "1": "finished"}


@pytest.mark.parametrize(
    ("num_signals", "states"),
    [(1, {"0": "interrupted", "1": "interrupted"}), (2, {"0": "lost", "1": "interrupted"})],
)
def test_ctrl_c_lets_jobs_save_and_the_second_one_ends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_signals: int, states: dict[str, str]
) -> None:
    slow = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}" if num_signals > 1 else WAITS
    use_programs(monkeypatch, [slow, WAITS, FINISHES])
    ledger = make_ledger(tmp_path, 3)
    stop = StopSignal()
    stop.first_words = "stopping"

    def press() -> None:
        while len(list(ledger.folder.glob("*/began"))) < 2:
            time.sleep(0.05)
        for _ in range(num_signals):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.4)

    thread = threading.Thread(target=press)
    thread.start()
    done, seen = schedule(ledger, 2, stop)
    thread.join()
    assert {name: state.state for name, state in seen.ended_jobs.items()} == states
    assert done.failed == []
    assert "2 started" not in seen.told
    assert seen.told.count("stopping") == 1
    assert stop.ends_at_second


def test_a_file_cancels_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_programs(monkeypatch, [f"open(f'{{run}}/../{CANCEL}', 'w').close(); {WAITS}", FINISHES])
    done, seen = schedule(make_ledger(tmp_path, 2), 1)
    assert seen.told == [
        "0 started", "bakeoff cancel: stopping; running runs are saved first", "0 interrupted",
    ]  # fmt: skip
    assert done.cancelled
    assert done.failed == []


def test_a_process_that_cannot_be_started_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_programs(monkeypatch, [FINISHES, FINISHES])
    ledger = make_ledger(tmp_path, 2)
    for path in (ledger.folder / "0").iterdir():
        path.unlink()
    (ledger.folder / "0").rmdir()
    done, seen = schedule(ledger, 1)
    assert seen.told == ["0 started", "0 failed", "1 started", "1 finished"]
    assert "could not be started" in str(seen.ended_jobs["0"].reason)
    assert done.failed == ["0"]


def test_no_log_is_written_or_read_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs come from other people."""
    use_programs(monkeypatch, [FINISHES])
    ledger = make_ledger(tmp_path, 1)
    (tmp_path / "mine").write_text("secret\n")
    (ledger.folder / "0" / "run.log").symlink_to(tmp_path / "mine")
    _, seen = schedule(ledger, 1)
    assert "could not be started" in str(seen.ended_jobs["0"].reason)
    assert "secret" not in str(seen.ended_jobs["0"].reason)
    assert (tmp_path / "mine").read_text() == "secret\n"
    assert last_line(ledger.folder / "0") == ""


def test_a_full_disk_below_the_ledger_ends_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_programs(monkeypatch, [FINISHES, FINISHES])
    ledger = make_ledger(tmp_path, 2)

    def full(self: Ledger, *, owned: bool) -> None:
        raise ResourceError("no room")

    monkeypatch.setattr(Ledger, "write", full)
    _, seen = schedule(ledger, 1)
    assert [state.state for state in seen.ended_jobs.values()] == ["finished", "finished"]
    assert seen.told.count("note: no room; the runs go on") == 1


PARENT = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
import pytest, stand_ins
patch = pytest.MonkeyPatch()
stand_ins.use_programs(patch, [stand_ins.WAITS] * 2)
if {no_prctl}:
    patch.setattr("bakeoff.sweeps.child._killed_with_parent", lambda: False)
stand_ins.schedule(stand_ins.make_ledger(Path(sys.argv[1]), 2), 2)
"""
TIED = """
import sys
sys.path[:0] = {paths!r}
from bakeoff.sweeps import child
if {no_prctl}:
    child._killed_with_parent = lambda: False
child.end_with(int(sys.argv[sys.argv.index("--parent") + 1]))
"""


def living(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
        except OSError:
            continue
    return found


def start_parent(tmp_path: Path, no_prctl: bool) -> tuple["subprocess.Popen[bytes]", list[int]]:
    paths = [str(Path(__file__).parent), str(Path(child.__file__).parents[2])]
    tied = TIED.format(paths=paths, no_prctl=no_prctl)
    program = PARENT.format(no_prctl=no_prctl).replace(
        "stand_ins.schedule(", f"stand_ins.PRELUDE = {tied!r} + stand_ins.PRELUDE\n"
        "stand_ins.use_programs(patch, [stand_ins.WAITS] * 2)\nstand_ins.schedule(",
    )  # fmt: skip
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), *paths])
    while len(began := list(tmp_path.glob("sweeps/night/*/began"))) < 2 or not all(
        path.read_text() for path in began
    ):
        assert parent.poll() is None
        time.sleep(0.05)
    return parent, [int(path.read_text().split()[0]) for path in began]


@pytest.mark.parametrize("no_prctl", [False, True])
def test_no_job_outlives_a_killed_sweep(tmp_path: Path, no_prctl: bool) -> None:
    parent, pids = start_parent(tmp_path, no_prctl)
    assert living(pids) == pids
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not living(pids):
            break
        time.sleep(0.1)
    assert living(pids) == []


def test_ctrl_z_stops_the_jobs_and_fg_lets_them_go_on(tmp_path: Path) -> None:
    parent, pids = start_parent(tmp_path, no_prctl=False)

    def states(*numbers: int) -> list[str]:
        return [Path(f"/proc/{n}/stat").read_text().rpartition(")")[2].split()[0] for n in numbers]

    def becomes(letters: str) -> bool:
        for _ in range(100):
            if all(state in letters for state in states(parent.pid, *pids)):
                return True
            time.sleep(0.05)
        return False

    try:
        parent.send_signal(signal.SIGTSTP)
        assert becomes("T")
        parent.send_signal(signal.SIGCONT)
        assert becomes("SR")
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(20) == 0  # the stand-in of a sweep ends here; its jobs have saved
    finally:
        parent.kill()
    assert living(pids) == []
    statuses = [
        json.loads(path.read_text())["status"] for path in tmp_path.glob("sweeps/night/*/status.json")
    ]
    assert statuses == ["interrupted", "interrupted"]
