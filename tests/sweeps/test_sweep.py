"""Sweeps: checked whole, run one by one, never trained twice."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import Bakeoff, command, files_below

from bakeoff.exits import run_reporting_errors
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import job, serial, torch_gates

SWEEP = ["train", "-m", "data=digits", "model.channels=[4]", "trainer.epochs=1", "sweep.name=night"]


def child_here(module: str, content: object, _stop: StopSignal) -> int:
    """A sweep's child in this process."""
    work = {"bakeoff.sweeps.torch_gates": torch_gates._check, "bakeoff.sweeps.job": job._train}[module]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(json.dumps(content)))
        patch.setattr("sys.argv", sys.argv)
        return run_reporting_errors(work, debug=False)


def only_checks(module: str, content: object, stop: StopSignal) -> int:
    if module == "bakeoff.sweeps.job":
        pytest.fail("trains again")
    return child_here(module, content, stop)


@pytest.fixture(params=["in this process", pytest.param("as processes", marks=pytest.mark.slow)])
def children(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes 5 s to load torch, and what these tests look at is what the parent makes of it.

    The first test and the last one have real processes in the quick tier, too.
    """
    if request.param == "as processes":
        return
    request.getfixturevalue("no_pictures")
    monkeypatch.setattr("bakeoff.sweeps.serial._run_child", child_here)


def test_runs_all_and_compares_and_does_not_train_again(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert code == 0
    folder = Path("outputs/sweeps/night")
    summaries = sorted(folder.glob("cnn-digits-s*-*/summary.json"))
    assert len(summaries) == 2
    assert "digits: 400 test images" in out
    table_row = next(line for line in out.splitlines() if line.startswith("cnn   "))
    assert table_row.split()[:2] == ["cnn", "2"]
    before = [path.stat().st_mtime_ns for path in summaries]
    for path in summaries:
        summary = json.loads(path.read_text())
        assert path.parent.name.endswith(summary["identity"][:8])
    # The check has had its process; no other may start.
    monkeypatch.setattr("bakeoff.sweeps.serial._run_child", only_checks)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert code == 0
    assert "2 runs, 2 of them finished already" in out
    assert [path.stat().st_mtime_ns for path in summaries] == before
    summaries[0].unlink()
    code, _, err = bakeoff(*SWEEP, "seed=0,1")
    assert code == 2
    assert str(summaries[0].parent) in err


@pytest.mark.usefixtures("children")
def test_a_wrong_combination_stops_the_sweep_before_anything_exists(bakeoff: Bakeoff) -> None:
    for wrong, error in (
        ("model.pools=1,9", "model.pools: the pooling"),  # gate 3
        ("seed=0,-1", "seed=-1"),  # gate 1
        ("+model.x=1,2", "model.x=1: no such key"),  # gate 2
        ("seed=0,0", "the sweep holds this run twice"),
    ):
        code, _, err = bakeoff(*SWEEP, wrong)
        assert code == 2, wrong
        assert error in err
        assert err.count("\n") == 1
    assert files_below(Path.cwd()) == []


@pytest.mark.usefixtures("children")
def test_dry_run_lists_the_runs(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff(*SWEEP, "seed=0,1", "--dry-run")
    assert code == 0
    assert out.count("cnn-digits-s") == 2
    assert files_below(Path.cwd()) == []


@pytest.mark.usefixtures("children")
def test_the_others_finish_when_one_fails(bakeoff: Bakeoff) -> None:
    arguments = [*SWEEP, "optim=sgd", "optim.clip_norm=null", "optim.warmup_epochs=0", "optim.lr=1e30,0.01"]
    code, out, _ = bakeoff(*arguments)
    assert code == 7
    statuses = [
        json.loads(path.read_text())["status"] for path in Path("outputs").glob("sweeps/night/*/status.json")
    ]
    assert sorted(statuses) == ["diverged", "finished"]
    assert "not in the table:" in out
    assert "diverged: optim.lr=" in out


def test_ctrl_c_ends_the_running_job_and_starts_no_other(tmp_path: Path) -> None:
    arguments = [*SWEEP, "trainer.epochs=100000", "seed=0,1"]
    environment = os.environ | {"BAKEOFF_OUTPUTS": str(tmp_path)}
    process = subprocess.Popen(
        command(arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        while not list(tmp_path.glob("sweeps/night/*/epochs.jsonl")):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:  # where Ctrl-C is ignored, as below `nohup`, it would train for days
        process.terminate()
        process.wait(30)
    assert process.returncode == 75
    assert (
        "stopped by Ctrl-C; 1 job of sweep.name=night not started; resume the stopped run, then give"
        in err.splitlines()[-1]
    )
    statuses = [
        json.loads(path.read_text())["status"] for path in tmp_path.glob("sweeps/night/*/status.json")
    ]
    assert statuses == ["interrupted"]


DIES = "import os, sys; os.kill(os.getpid(), int(sys.argv[1]))"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            signal.SIGKILL,
            "ended by SIGKILL (the system does that when memory runs out; lower trainer.batch_size)",
        ),
        (signal.SIGSEGV, "ended by SIGSEGV"),
    ],
)
def test_a_killed_check_is_said_and_has_an_exit_code_of_ours(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """Python gives minus the signal's number, which the shell would see as 247."""
    run_child = serial._run_child
    monkeypatch.setattr(serial, "_PYTHON", [sys.executable, "-c", DIES])
    monkeypatch.setattr(serial, "_run_child", lambda _, *rest: run_child(str(number), *rest))
    code, _, err = bakeoff(*SWEEP)
    assert code == 4
    assert err.splitlines()[-1] == f"error: the check of all jobs was {said}"


@pytest.mark.usefixtures("no_pictures")
def test_a_killed_job_is_said_and_the_next_one_runs(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_child, jobs = serial._run_child, []

    def first_dies(module: str, content: object, stop: StopSignal) -> int:
        jobs.append(module)
        if jobs.count("bakeoff.sweeps.job") == 1 and module == "bakeoff.sweeps.job":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(serial, "_PYTHON", [sys.executable, "-c", DIES])
                return run_child(str(int(signal.SIGKILL)), content, stop)
        return child_here(module, content, stop)

    monkeypatch.setattr(serial, "_run_child", first_dies)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert code == 7
    assert "the process of this job was ended by SIGKILL" in out
    assert len(list(Path("outputs/sweeps/night").glob("*/summary.json"))) == 1


@pytest.mark.usefixtures("no_pictures")
def test_a_job_trains_what_was_checked_though_its_config_file_has_changed(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "conf" / "trainer" / "mine.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("# @package trainer\nepochs: 1\n")

    def changes_then_runs(module: str, content: object, stop: StopSignal) -> int:
        config.write_text("# @package trainer\nepochs: 2\n")
        return child_here(module, content, stop)

    monkeypatch.setattr(serial, "_run_child", changes_then_runs)
    line = [word for word in SWEEP if not word.startswith("trainer.epochs")]
    assert bakeoff(*line, "trainer=mine", "--config-dir", str(tmp_path / "conf"))[0] == 0
    (summary,) = Path("outputs/sweeps/night").glob("*/summary.json")
    assert json.loads(summary.read_text())["epochs_run"] == 1


# Children that a signal reaches late or never.
STOPPED = "import os, signal, time; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)"
DEAF = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
time.sleep(60)
"""


@pytest.mark.parametrize(("program", "num_signals"), [(STOPPED, 1), (DEAF, 2), (DEAF, 3)])
def test_a_child_that_does_not_listen_does_not_hold_a_sweep(
    monkeypatch: pytest.MonkeyPatch, program: str, num_signals: int
) -> None:
    monkeypatch.setattr(serial, "_PYTHON", [sys.executable, "-c", program])
    monkeypatch.setattr(serial, "_SECONDS_TO_END", 0.3 if num_signals == 2 else 60.0)
    stop = StopSignal()
    with stop.caught():
        timers = [
            threading.Timer(0.6 + 0.2 * n, signal.raise_signal, [signal.SIGINT]) for n in range(num_signals)
        ]
        for timer in timers:
            timer.start()
        began = time.monotonic()
        code = serial._run_child("unused", {}, stop)
        assert time.monotonic() - began < 10
        for timer in timers:
            timer.join()
    assert code == -(signal.SIGINT if program is STOPPED else signal.SIGKILL)
    assert stop.ends_at_second


@pytest.mark.usefixtures("children")
def test_a_signal_during_the_closing_comparison_is_read(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = serial.print_comparison

    def signalled(roots: list[Path]) -> int:
        signal.raise_signal(signal.SIGINT)
        return compare(roots)

    monkeypatch.setattr(serial, "print_comparison", signalled)
    code, _, err = bakeoff(*SWEEP)
    assert (code, err.splitlines()[-1]) == (75, "error: stopped by Ctrl-C")
