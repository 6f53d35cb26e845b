"""The same command again: what is left, what has failed, and what is of other code."""

import json
import shutil
import signal
import subprocess
import time
from argparse import Namespace
from pathlib import Path

import pytest
from conftest import Bakeoff, command
from sweep_children import NIGHT, SWEEP, children_here, contents, no_job, states

from bakeoff.experiment.code import code_files
from bakeoff.sweeps import job


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
    for number, again in enumerate(
        ([*arguments, "sweep.retry=diverged"], ["resume", "night", "--retry-diverged"]), start=1
    ):
        assert bakeoff(*again)[0] == 7
        assert len(begun) == number
        assert states() == ["diverged", "finished"]
    assert bakeoff("resume", next(NIGHT.glob("cnn-*")).name, "--retry-diverged")[0] == 2


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
def test_finished_runs_of_other_code_are_named_and_the_user_decides(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch)
    assert bakeoff(*SWEEP)[0] == 0
    (old,) = NIGHT.glob("cnn-*")
    before = contents(old)
    files = {**code_files(json.loads((old / "config.json").read_text())), "training/loop.py": "0" * 64}
    monkeypatch.setattr("bakeoff.experiment.identity.code_hash", lambda _: "1" * 64)
    monkeypatch.setattr("bakeoff.experiment.code.code_files", lambda _: files)
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


@pytest.mark.usefixtures("no_pictures")
def test_what_a_sweep_with_more_seeds_has_in_another_one_is_said(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch)
    assert bakeoff(*SWEEP, "seed=0")[0] == 0
    line = [word for word in SWEEP if not word.startswith("sweep.name")]
    told = "note: sweep night has 1 of these 2 runs; with sweep.name=night only the others are trained"
    assert told in bakeoff(*line, "seed=0,1", "--dry-run")[1]
    assert "note: sweep night" not in bakeoff(*line, "seed=5", "--dry-run")[1]
    out = bakeoff(*line, "seed=0,1", "sweep.name=ni", "--dry-run")[1]
    assert "note: a new sweep, ni; there is night, too, whose name begins so" in out


@pytest.mark.usefixtures("no_pictures")
def test_a_directory_that_is_removed_is_missed_no_more_unless_the_command_has_it(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch)
    assert bakeoff(*SWEEP, "seed=0,1,2")[0] == 0
    for seed in (1, 2):
        shutil.rmtree(next(NIGHT.glob(f"*-s{seed}-*")))
    assert bakeoff(*SWEEP, "seed=0,1")[0] == 0
    assert states() == ["finished", "finished"]
    assert len(list(NIGHT.glob("*/summary.json"))) == 2


def test_a_link_in_place_of_a_run_is_refused_and_not_followed(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    children_here(monkeypatch, lambda _: 3)
    assert bakeoff(*SWEEP, "seed=0,1")[0] == 7
    run = next(NIGHT.glob("*-s1-*"))
    shutil.move(run, tmp_path / "mine")
    run.symlink_to(tmp_path / "mine")
    before = contents(tmp_path / "mine")
    children_here(monkeypatch, no_job)
    for words in ([*SWEEP, "seed=0,1", "sweep.retry=diverged"], ["resume", "night"]):
        code, _, err = bakeoff(*words)
        assert (code, "a link or a file has the name of a run directory" in err) == (2, True)
    assert contents(tmp_path / "mine") == before


@pytest.mark.usefixtures("no_pictures")
def test_what_a_resume_advises_for_a_damaged_config_helps(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    children_here(monkeypatch, lambda _: 3)
    assert bakeoff(*SWEEP)[0] == 7
    (run,) = NIGHT.glob("cnn-*")
    (run / "config.json").write_text("{")
    code, _, err = bakeoff("resume", "night")
    assert (code, "; remove it, and make the directory anew with: bakeoff train" in err) == (6, True)
    shutil.rmtree(run)
    code, _, err = bakeoff("resume", "night")
    assert (code, "; make the directory anew with: bakeoff train" in err) == (6, True)
    children_here(monkeypatch)
    assert bakeoff(*SWEEP)[0] == 0


def test_runs_that_a_failure_stops_are_counted(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    children_here(monkeypatch, lambda _: 3)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1,2", "sweep.on_failure=stop")
    assert code == 7
    assert "stopped after the first failure (sweep.on_failure=stop); 2 runs not started" in out
    assert "next           bakeoff resume night   (3 runs left to train)" in out


@pytest.mark.usefixtures("no_pictures")
def test_a_resume_names_the_files_that_have_changed(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begins(options: Namespace) -> int:
        monkeypatch.setattr("bakeoff.experiment.part.fit", lambda *_, **__: 1 / 0)
        return job._work(options)

    children_here(monkeypatch, begins)
    assert bakeoff(*SWEEP)[0] == 7
    monkeypatch.setattr("bakeoff.experiment.identity.code_hash", lambda _: "1" * 64)
    (run,) = NIGHT.glob("cnn-*")
    files = {**code_files(json.loads((run / "config.json").read_text())), "training/loop.py": "0" * 64}
    monkeypatch.setattr("bakeoff.experiment.code.code_files", lambda _: files)
    code, _, err = bakeoff("resume", "night")
    assert code == 6
    assert f"({run.name}; changed: training/loop.py); put that back" in err
