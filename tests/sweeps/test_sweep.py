"""Sweeps: checked whole, each run a directory and a process, and nothing is done twice."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from pathlib import Path

import pytest
from conftest import Bakeoff, command, files_below
from sweep_children import children_here
from terminals import terminal

from bakeoff.experiment.code import code_files
from bakeoff.experiment.resume import resume
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import gates_child, job, run

SWEEP = ["train", "-m", "data=digits", "model.channels=[4]", "trainer.epochs=1", "sweep.name=night"]
NIGHT = Path("outputs/sweeps/night")


@pytest.fixture(params=["in this process", pytest.param("as processes", marks=pytest.mark.slow)])
def children(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes seconds to load torch, and what these tests look at is what the parent makes of it.

    The first test and that of Ctrl-C have real processes in the quick tier, too.
    """
    if request.param == "as processes":
        return
    request.getfixturevalue("no_pictures")
    children_here(monkeypatch)


def no_job(options: Namespace) -> int:
    pytest.fail(f"trains {options.run} again")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def states() -> list[str]:
    return [entry["state"] for entry in json.loads((NIGHT / "sweep.json").read_text())["jobs"]]


def test_runs_all_and_compares_and_does_not_train_again(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert code == 0
    summaries = sorted(NIGHT.glob("cnn-digits-s*-*/summary.json"))
    assert len(summaries) == 2
    assert "digits: 400 test images" in out
    table_row = next(line for line in out.splitlines() if line.startswith("cnn   "))
    assert table_row.split()[:2] == ["cnn", "2"]
    for path in summaries:
        assert path.parent.name.endswith(json.loads(path.read_text())["identity"][:8])
    before = {path.parent: contents(path.parent) for path in summaries}
    # What was lost is done again, and the other run is not touched.
    lost, kept = (path.parent for path in summaries)
    for path in lost.iterdir():
        if path.is_file():
            path.unlink()
    children_here(monkeypatch)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert (code, "2 runs, 1 of them finished already" in out) == (0, True)
    assert (lost / "summary.json").exists()
    assert contents(kept) == before[kept]
    children_here(monkeypatch, no_job)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert (code, "2 runs, 2 of them finished already" in out) == (0, True)
    assert states() == ["finished", "finished"]


@pytest.mark.usefixtures("no_pictures")
def test_a_run_says_how_many_ran_at_once_and_has_its_part_of_the_cores(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch)
    monkeypatch.setattr("bakeoff.sweeps.slots.usable_cores", lambda: 7)
    monkeypatch.setattr("bakeoff.sweeps.slots.threads_alone", lambda: 7)
    assert bakeoff(*SWEEP, "sweep.jobs=3", "seed=0", "trainer.threads=null,2")[0] == 2  # one run twice
    assert bakeoff(*SWEEP, "sweep.jobs=3")[0] == 0
    assert bakeoff(*SWEEP, "sweep.jobs=3", "seed=1", "trainer.threads=1")[0] == 0
    found = {}
    for path in NIGHT.glob("*/environment.json"):
        recorded = json.loads(path.read_text())
        found[path.parent.name.split("-")[2]] = recorded["jobs_at_once"], recorded["threads"]
        assert json.loads((path.parent / "config.json").read_text())["trainer"]["threads"] in (None, 1)
    assert found == {"s0": (3, 2), "s1": (3, 1)}


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_somebody_finishes_while_it_waits_is_not_trained_again(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, dict[Path, bytes]] = {}

    def work(options: Namespace) -> int:
        if not before:  # the first one; somebody resumes the other one meanwhile
            (other,) = {path.parent for path in NIGHT.glob("*/config.json")} - {options.run}
            resume(other, StopSignal())
            before[other.name] = contents(other)
        return job._work(options)

    children_here(monkeypatch, work)
    assert bakeoff(*SWEEP, "seed=0,1")[0] == 0
    assert states() == ["finished", "finished"]
    ((name, bits),) = before.items()
    now = contents(NIGHT / name)
    now.pop(NIGHT / name / "run.log"), bits.pop(NIGHT / name / "run.log")
    assert now == bits


@pytest.mark.usefixtures("children")
def test_more_values_add_only_the_new_runs(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bakeoff(*SWEEP, "seed=0")[0] == 0
    before = contents(next(NIGHT.glob("*-s0-*")))
    begun: list[str] = []

    def work(options: Namespace) -> int:
        begun.append(options.run.name)
        return job._work(options)

    children_here(monkeypatch, work)
    assert bakeoff(*SWEEP, "seed=0,1")[0] == 0
    assert [name.split("-")[2] for name in begun] == ["s1"]
    assert contents(next(NIGHT.glob("*-s0-*"))) == before
    assert states() == ["finished", "finished"]


@pytest.mark.usefixtures("children")
def test_a_wrong_combination_stops_the_sweep_before_anything_exists(bakeoff: Bakeoff) -> None:
    for wrong, error in (
        ("model.pools=1,9", "model.pools: the pooling"),  # gate 3
        ("seed=0,-1", "seed=-1"),  # gate 1
        ("+model.x=1,2", "model.x=1: no such key"),  # gate 2
        ("seed=0,0", "the sweep holds this run twice"),
        ("sweep.jobs=1,2", "sweep.jobs=1,2: a sweep has one value of it"),
        ("output_dir=a,b", "output_dir=a,b: a sweep has one value of it"),
        ("sweep.jobs=0", "sweep.jobs=0: must be"),
    ):
        code, _, err = bakeoff(*SWEEP, wrong)
        assert code == 2, wrong
        assert error in err
        assert err.count("\n") == 1
    assert files_below(Path.cwd()) == []


@pytest.mark.usefixtures("children")
def test_dry_run_lists_the_runs(bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff(*SWEEP, "seed=0,1", "sweep.jobs=999", "--dry-run")
    assert code == 0
    assert "2 runs, 0 of them finished already, 2 runs at once\n" in out
    assert re.findall(r"(seed=\d) +queued +unknown  cnn-digits-s\d-\w{8}\n", out) == ["seed=0", "seed=1"]
    assert "how long it takes is not known" in out
    assert files_below(Path.cwd()) == []


@pytest.mark.usefixtures("children")
def test_the_others_finish_when_one_fails_and_a_diverged_run_waits(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*SWEEP, "optim=sgd", "optim.clip_norm=null", "optim.warmup_epochs=0", "optim.lr=1e30,0.01"]
    code, out, _ = bakeoff(*arguments)
    assert code == 7
    assert states() == ["diverged", "finished"]
    assert "not in the table:" in out
    assert "diverged: optim.lr=" in out
    children_here(monkeypatch, no_job)
    assert bakeoff(*arguments)[0] == 7
    begun: list[str] = []

    def work(options: Namespace) -> int:
        assert json.loads((options.run / "status.json").read_text())["status"] == "queued"
        begun.append(options.run.name)
        return job._work(options)

    children_here(monkeypatch, work)
    assert bakeoff(*arguments, "sweep.retry=diverged")[0] == 7
    assert len(begun) == 1
    assert states() == ["diverged", "finished"]


def test_ctrl_c_stops_the_running_job_and_the_same_command_goes_on(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path))
    line = [word for word in SWEEP if not word.startswith("sweep.name")]
    arguments = [*line, "trainer.epochs=100000", "seed=0,1"]
    process = subprocess.Popen(command(arguments), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while not list(tmp_path.glob("sweeps/*/*/epochs.jsonl")):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:  # where Ctrl-C is ignored, as below `nohup`, it would train for days
        process.terminate()
        process.wait(30)
    assert process.returncode == 75
    (sweep,) = tmp_path.glob("sweeps/*")
    assert err.splitlines()[-1] == (
        "error: stopped by Ctrl-C; 0 of 2 runs finished, 1 not started; go on with the same command, or with "
        f"bakeoff resume {sweep.name}"
    )
    statuses = [json.loads(path.read_text())["status"] for path in sorted(sweep.glob("*/status.json"))]
    assert statuses == ["interrupted", "queued"]
    steps: dict[str, int] = {}

    def work(options: Namespace) -> int:
        steps[options.run.name.split("-")[2]] = len(list((options.run / "checkpoints").glob("step-*")))
        return 3

    children_here(monkeypatch, work)
    for again in (arguments, ["resume", sweep.name]):
        steps.clear()
        code, out, _ = bakeoff(*again)
        assert code == 7
        assert steps == {"s0": 1, "s1": 0}
    code, out, _ = bakeoff(*arguments, "sweep.name=new", "--dry-run")
    assert code == 0
    assert sweep.name not in out


def test_the_same_command_without_a_name_goes_on_with_its_own_sweep_alone(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch, lambda _: 3)
    line = [word for word in SWEEP if not word.startswith("sweep.name")]
    assert bakeoff(*line, "seed=0,1")[0] == 7
    (first,) = Path("outputs/sweeps").iterdir()
    for others in (["seed=0,1", "sweep.jobs=2"], ["seed=0,1", "sweep.retry=diverged"]):
        _, out, _ = bakeoff(*line, *others)
        assert f"going on with sweep {first.name}, begun by the same command" in out
    assert [path.name for path in Path("outputs/sweeps").iterdir()] == [first.name]
    for others in (["seed=0,1,2"], ["seed=1,0"], ["seed=0,1", "sweep.name=new"]):
        _, out, _ = bakeoff(*line, *others)
        assert "going on" not in out
    assert len(list(Path("outputs/sweeps").iterdir())) == 4


@pytest.mark.usefixtures("no_pictures")
def test_a_killed_job_is_said_with_the_last_line_of_its_log_and_the_next_one_runs(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def work(options: Namespace) -> int:
        begun.append(options.run.name)
        if len(begun) > 1:
            return job._work(options)
        (options.run / "run.log").write_text("2026-01-01T00:00:00+00:00 epoch 3/9\n")
        return -signal.SIGKILL

    children_here(monkeypatch, work)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert code == 7
    reason = "ended by SIGKILL (the system does that when memory runs out; lower trainer.batch_size)"
    assert f"{reason}; epoch 3/9" in " ".join(out.split())
    assert states() == ["failed", "finished"]
    assert json.loads((NIGHT / begun[0] / "status.json").read_text())["status"] == "failed"
    assert len(list(NIGHT.glob("*/summary.json"))) == 1


@pytest.mark.usefixtures("no_pictures")
def test_a_job_trains_what_was_checked_though_its_config_file_has_changed(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "conf" / "trainer" / "mine.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("# @package trainer\nepochs: 1\n")

    def changes_then_runs(options: Namespace) -> int:
        config.write_text("# @package trainer\nepochs: 2\n")
        return job._work(options)

    children_here(monkeypatch, changes_then_runs)
    line = [word for word in SWEEP if not word.startswith("trainer.epochs")]
    assert bakeoff(*line, "trainer=mine", "--config-dir", str(tmp_path / "conf"))[0] == 0
    (summary,) = NIGHT.glob("*/summary.json")
    assert json.loads(summary.read_text())["epochs_run"] == 1


@pytest.mark.usefixtures("no_pictures")
def test_a_job_refuses_a_directory_that_is_not_the_checked_run(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes_then_runs(options: Namespace) -> int:
        config = json.loads((options.run / "config.json").read_text())
        config["optim"]["lr"] = 0.5
        (options.run / "config.json").write_text(json.dumps(config))
        return job._work(options)

    children_here(monkeypatch, changes_then_runs)
    code, out, _ = bakeoff(*SWEEP)
    assert code == 7
    assert "its config, data or code are not those that its sweep has checked" in " ".join(out.split())
    assert not list(NIGHT.glob("*/attempts"))


@pytest.mark.usefixtures("no_pictures")
def test_finished_runs_of_other_code_are_named_and_the_user_decides(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch)
    assert bakeoff(*SWEEP)[0] == 0
    (old,) = NIGHT.glob("cnn-*")
    before = contents(old)
    files = {**code_files(json.loads((old / "config.json").read_text())), "training/loop.py": "0" * 64}
    monkeypatch.setattr("bakeoff.experiment.identity.code_hash", lambda _: "1" * 64)
    monkeypatch.setattr("bakeoff.sweeps.plan.code_files", lambda _: files)
    children_here(monkeypatch, no_job)
    code, _, err = bakeoff(*SWEEP)
    assert code == 2
    assert old.name in err
    assert f"({old.name}; changed: training/loop.py)" in err
    assert bakeoff(*SWEEP, "sweep.stale=keep")[0] == 0
    assert contents(old) == before
    children_here(monkeypatch)
    assert bakeoff(*SWEEP, "sweep.stale=rerun")[0] == 0
    assert contents(old) == before
    assert len(list(NIGHT.glob("cnn-*/summary.json"))) == 2
    assert states() == ["finished"]  # of today's code


@pytest.mark.usefixtures("no_pictures")
def test_a_waiting_run_of_other_code_makes_room(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    children_here(monkeypatch, lambda _: 3)
    bakeoff(*SWEEP)
    (old,) = NIGHT.glob("cnn-*")
    (old / "status.json").write_text((old / "status.json").read_text().replace("failed", "queued"))
    monkeypatch.setattr("bakeoff.experiment.identity.code_hash", lambda _: "1" * 64)
    code, _, err = bakeoff("resume", "night")
    assert code == 6
    assert "code or data have changed" in err
    assert "bakeoff train --multirun sweep.name=night data=digits" in err
    children_here(monkeypatch)
    assert bakeoff(*SWEEP)[0] == 0
    assert not old.exists()
    assert states() == ["finished"]


DIES = "import os, sys; os.kill(os.getpid(), int(sys.argv[-1]))"


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
    program = DIES.replace("sys.argv[-1]", str(int(number)))
    monkeypatch.setattr(gates_child, "_PYTHON", (sys.executable, "-c", program))
    code, _, err = bakeoff(*SWEEP)
    assert code == 4
    assert err.splitlines()[-1] == f"error: the check of all jobs {said}"


# Children that a signal reaches late or never.
STOPPED = "import os, signal, time; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)"
DEAF = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
time.sleep(60)
"""


@pytest.mark.parametrize(("program", "num_signals"), [(STOPPED, 1), (DEAF, 2), (DEAF, 3)])
def test_a_check_that_does_not_listen_does_not_hold_a_sweep(
    monkeypatch: pytest.MonkeyPatch, program: str, num_signals: int
) -> None:
    monkeypatch.setattr(gates_child, "_PYTHON", (sys.executable, "-c", program))
    monkeypatch.setattr(gates_child, "_SECONDS_TO_END", 0.3 if num_signals == 2 else 60.0)
    stop = StopSignal()
    with stop.caught(), open(os.devnull, "wb") as sizes:
        timers = [
            threading.Timer(0.6 + 0.2 * n, signal.raise_signal, [signal.SIGINT]) for n in range(num_signals)
        ]
        for timer in timers:
            timer.start()
        began = time.monotonic()
        code = gates_child._run([], stop, sizes.fileno())
        assert time.monotonic() - began < 10
        for timer in timers:
            timer.join()
    assert code == -(signal.SIGINT if program is STOPPED else signal.SIGKILL)
    assert stop.ends_at_second


@pytest.mark.usefixtures("children")
def test_a_signal_during_the_closing_comparison_is_read(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = run.print_comparison

    def signalled(roots: list[Path]) -> int:
        signal.raise_signal(signal.SIGINT)
        return compare(roots)

    monkeypatch.setattr(run, "print_comparison", signalled)
    code, _, err = bakeoff(*SWEEP)
    assert (code, err.splitlines()[-1]) == (75, "error: stopped by Ctrl-C")


@pytest.mark.usefixtures("no_pictures")
def test_a_note_of_all_jobs_is_said_once_and_logged_by_each(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = iter([90.0, 91.5, 92.5])
    monkeypatch.setattr("bakeoff.machine.load._running_others", lambda: next(loads))
    children_here(monkeypatch)
    code, out, _ = bakeoff(*SWEEP, "trainer.threads=1", "seed=0,1")
    assert code == 0
    assert re.findall(r"busy: load ([\d.]+)", out) == ["90.0"]
    logs = sorted(path.read_text() for path in NIGHT.glob("*/run.log"))
    assert sorted(re.findall(r"busy: load ([\d.]+)", "".join(logs))) == ["91.5", "92.5"]


def test_the_check_of_all_jobs_shows_how_far_it_is(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    children_here(monkeypatch)
    with terminal(60) as screen:
        bakeoff(*SWEEP, "seed=0,1", "--dry-run")
    assert "checking run 2 of 2 ..." in screen.drawn()
    assert max(map(len, screen.drawn())) <= 60
    assert screen.lines()[0] == "sweep outputs/sweeps/night: 2 runs, 0 of them finished"
    assert screen.lines()[1] == "  already"
