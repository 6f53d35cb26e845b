"""Sweeps: checked whole, each run a directory and a process, and nothing is done twice."""

import json
import re
import signal
from argparse import Namespace
from pathlib import Path

import pytest
from conftest import Bakeoff, files_below
from sweep_children import NIGHT, SWEEP, children_here, contents, no_job, states
from terminals import terminal

from bakeoff.experiment.resume import resume
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import job, run


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
    assert (code, "2 runs, 1 of them done already" in out) == (0, True)
    assert (lost / "summary.json").exists()
    assert contents(kept) == before[kept]
    children_here(monkeypatch, no_job)
    code, out, _ = bakeoff(*SWEEP, "seed=0,1")
    assert (code, "2 runs, 2 of them done already" in out) == (0, True)
    assert out.endswith("sweep          outputs/sweeps/night\nnext           bakeoff list night\n")
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
    assert "2 runs, 0 of them done already, 2 runs at once\n" in out
    assert re.findall(r"(seed=\d) +queued +unknown  cnn-digits-s\d-\w{8}\n", out) == ["seed=0", "seed=1"]
    assert "how long it takes is not known" in out
    assert files_below(Path.cwd()) == []


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
    assert screen.lines()[0] == "sweep outputs/sweeps/night: 2 runs, 0 of them done already"
