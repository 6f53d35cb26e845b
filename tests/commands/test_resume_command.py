"""`bakeoff resume`: which run is meant, what may be said, and what a person reads."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_lines import PROJECT
from conftest import Bakeoff, command
from run_directories import make_run
from stopped_runs import LINE, contents, read, stop_at_step, stopped

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs root of one stopped run."""
    outputs = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.style.check", lambda: None)
        stopped(outputs, stop_at_step(7))
    return outputs


@pytest.fixture
def run(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where runs are looked for."""
    outputs = tmp_path / "outputs"
    shutil.copytree(original, outputs)
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(outputs))
    (found,) = outputs.glob("*/*-s0-*")
    return found


def test_latest_is_the_last_stopped_run_and_a_finished_run_is_shown_and_not_touched(
    run: Path, bakeoff: Bakeoff
) -> None:
    make_run(run.parent.parent / "later")
    code, out, error = bakeoff("resume", "latest")
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"run directory  {run}"
    assert lines[1] == "cnn on digits goes on from step 7, epoch 2 of 3; cpu, 1 thread"
    assert lines[2].split() == ["training", "validation", "validation", "learning", "images"]
    assert lines[4].startswith("epoch 2/3")
    assert lines[-2:] == [f"run directory  {run}", f"next           bakeoff compare {run.parent}"]
    assert (run / "run.log").read_text().count("goes on from step 7") == 1
    before = {path: os.stat(path).st_mtime_ns for path in run.rglob("*")}
    code, out, error = bakeoff("resume", run.name[:6])
    accuracy = read(run, "summary.json")["test"]["accuracy"]
    assert (code, error) == (0, "")
    assert out.startswith(f"{run.name} has finished: test accuracy {100 * accuracy:.2f} %, test loss (NLL) ")
    assert {path: os.stat(path).st_mtime_ns for path in run.rglob("*")} == before
    code, _, error = bakeoff("resume", "latest")
    root = run.parent.parent
    assert (code, error) == (2, f"error: run latest: none of the 2 runs below {root} was stopped\n")


@pytest.mark.parametrize("state", ["diverged", "finished elsewhere", "queued", "pruned"])
def test_latest_is_no_run_that_cannot_go_on(state: str, run: Path, bakeoff: Bakeoff) -> None:
    (run / "status.json").write_text(json.dumps(read(run, "status.json") | {"status": state}))
    assert bakeoff("resume", "latest")[0] == 2


def test_a_run_that_a_search_stopped_does_not_go_on(run: Path, bakeoff: Bakeoff) -> None:
    (run / "status.json").write_text(json.dumps(read(run, "status.json") | {"status": "pruned"}))
    code, out, error = bakeoff("resume", str(run))
    assert (code, out) == (6, "")
    assert "a search stopped it early, and it does not go on; train it anew: bakeoff train --config" in error


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["optim.lr=3"], 6, "train a new run: bakeoff train --config RUN_DIRECTORY optim.lr=3"),
        (["--allow", "optim.lr=3"], 6, "only trainer.epochs and trainer.device may change in a run that goes on"),
        (["sweep.jobs=2"], 2, "give the sweep's command with sweep.name=SWEEP and the new option"),
        (["trainer.epochs"], 2, "write --allow trainer.epochs=NUMBER"),
        (["trainer.epochs=9"], 2, "write --allow trainer.epochs=VALUE; the run then goes on in a new run"),
        (["--allow", "trainer.epochs"], 2, "--allow trainer.epochs: how many? write --allow trainer.epochs=NUMBER"),
        (["--allow", "trainer.epoch=9"], 2, "write --allow trainer.epochs=NUMBER or --allow trainer.device[=DEVICE]"),
        (["--epochs", "9"], 2, "write --allow trainer.epochs=NUMBER"),
        (["epochs=9"], 2, "write --allow trainer.epochs=NUMBER"),
        (["--allow", "trainer.epochs=1"], 6, "it can only go on with more of them"),
        (["--allow", "trainer.epochs=many"], 2, "trainer.epochs"),
        (["--allow", "trainer.device=gpu9"], 2, "trainer.device"),
        (["--force"], 2, "--force: one run at a time, and no such option; see bakeoff resume --help"),
        (["latest"], 2, "latest: one run at a time"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_touch_nothing(
    words: list[str], code: int, said: str, run: Path, bakeoff: Bakeoff
) -> None:
    before = contents(run.parent.parent)
    found, out, error = bakeoff("resume", str(run), *words)
    assert found == code, error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert out == ""
    assert contents(run.parent.parent) == before


def test_more_epochs_of_a_finished_run_are_a_new_training(tmp_path: Path, bakeoff: Bakeoff) -> None:
    make_run(tmp_path / "run")
    run = tmp_path / "run"
    code, _, error = bakeoff("resume", str(run), "--allow", "trainer.epochs=9")
    assert code == 6
    assert "has finished, and its checkpoints are gone; train a new run with the new value" in error
    assert error.endswith(f"bakeoff train --config {run}\n")


def test_without_a_run_it_asks_which(bakeoff: Bakeoff) -> None:
    said = "error: which run? write bakeoff resume latest, bakeoff resume RUN or bakeoff resume SWEEP\n"
    assert bakeoff("resume") == (2, "", said)
    code, out, _ = bakeoff("help", "resume")
    assert code == 0
    assert "usage: bakeoff resume [-h] [--allow KEY[=VALUE]] [--retry-diverged]" in out


def test_a_run_is_found_as_compare_shows_it_and_as_a_shell_completes_it(run: Path, bakeoff: Bakeoff) -> None:
    for name in (f"{run.parent.name}/{run.name}", f"{run.parent.name}/{run.name}/", f"{run.name}/"):
        code, _, error = bakeoff("resume", name, "--allow", "trainer.epochs=1")
        assert code == 6, error


def test_a_newer_run_that_cannot_go_on_is_named(run: Path, bakeoff: Bakeoff) -> None:
    newer = run.with_name("235959-cnn-digits-s0-zzzz")
    shutil.copytree(run, newer)
    (newer / "status.json").write_text(json.dumps(read(run, "status.json") | {"status": "diverged"}))
    code, out, error = bakeoff("resume", "latest")
    assert code == 0
    assert error == (
        f"note: latest is {run}, the last stopped run; the newer {newer} cannot go on (diverged)\n"
    )
    assert out.startswith(f"run directory  {run}\n")


def begin(outputs: Path, *words: str) -> subprocess.Popen[str]:
    """A training in a process of its own, once it trains."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command(["resume", *words] if not words[0].startswith("trainer.") else ["train", *LINE, f"output_dir={outputs}", *words]),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert child.stdout
    for line in child.stdout:
        if line.startswith(("epoch", "  epoch")) or "epoch 2/" in line:
            return child
    raise AssertionError(child.communicate())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_each_signal_saves_and_the_last_line_goes_on(number: int, tmp_path: Path) -> None:
    child = begin(tmp_path, "trainer.epochs=4000")
    child.send_signal(number)
    _, error = child.communicate(timeout=60)
    assert child.returncode == 75
    (run,) = tmp_path.glob("*/*-s0-*")
    assert error.splitlines()[-1].endswith(f"; go on with: bakeoff resume {run}")
    step = read(run, "status.json")["step"]
    assert step > 0
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert checkpoint.name == f"step-{step:08d}"


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_at_once_and_damages_nothing(tmp_path: Path) -> None:
    child = begin(tmp_path, "trainer.epochs=4000", "trainer.checkpoint_every_seconds=0.2")
    time.sleep(1.5)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    child.communicate(timeout=60)
    assert child.returncode == 75
    assert time.monotonic() - began < 10
    (run,) = tmp_path.glob("*/*-s0-*")
    assert list((run / "checkpoints").glob("step-*"))
    resumed = begin(tmp_path, str(run))
    resumed.send_signal(signal.SIGINT)
    resumed.communicate(timeout=60)
    assert resumed.returncode == 75
    assert read(run, "status.json")["status"] == "interrupted"
