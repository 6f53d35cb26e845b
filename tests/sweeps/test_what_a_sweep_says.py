"""What a sweep says while its jobs train: each thing once, and how long the rest takes."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Bakeoff
from terminals import terminal
from test_sweep import SWEEP, child_here

from bakeoff.config.job import Job
from bakeoff.machine.signals import StopSignal
from bakeoff.sweeps import serial


@pytest.mark.usefixtures("no_pictures")
def test_a_note_of_all_jobs_is_said_once_and_logged_by_each(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = iter([90.0, 91.5])
    monkeypatch.setattr("bakeoff.machine.load._running_others", lambda: next(loads))
    monkeypatch.setattr(serial, "_run_child", child_here)
    code, out, _ = bakeoff(*SWEEP, "trainer.threads=1", "seed=0,1")
    assert code == 0
    assert out.count("the machine is busy") == 1
    assert "the machine is busy: load 90.0" in out
    logs = sorted(path.read_text() for path in Path("outputs/sweeps/night").glob("*/run.log"))
    assert sorted(re.findall(r"busy: load ([\d.]+)", "".join(logs))) == ["90.0", "91.5"]
    assert "[1/2] data=digits" in out
    assert re.search(r"\[2/2\] data=digits .*seed=1 \(about \d+ seconds? for this and the rest\)\n", out)


def planned(folder: Path) -> Any:
    return serial._PlannedJob(Job({"sweep": {"name": "s"}}, ["seed=0"]), "0" * 64, folder, finished=False)


def test_the_rest_is_estimated_by_the_jobs_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=1000.0)
    seconds = iter([60.0, 180.0, 1.0])

    def child(*_: object) -> int:
        clock.now += next(seconds)
        return 0

    monkeypatch.setattr(serial.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(serial, "_run_child", child)
    assert serial._train_all([planned(tmp_path / str(n)) for n in range(3)], StopSignal()) == 0
    assert capsys.readouterr().out.split("\n")[1::2] == [
        "[1/3] seed=0",
        "[2/3] seed=0 (about 2 minutes for this and the rest)",  # two of 60 s
        "[3/3] seed=0 (about 2 minutes for this and the rest)",  # one of 120 s, the mean
    ]


def test_the_check_of_all_jobs_shows_how_far_it_is(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "_run_child", child_here)
    with terminal(60) as screen:
        bakeoff(*SWEEP, "seed=0,1", "--dry-run")
    assert "checking run 2 of 2 ..." in screen.drawn()
    assert max(map(len, screen.drawn())) <= 60
    assert screen.lines()[0] == "sweep outputs/sweeps/night: 2 runs, 0 of them finished"
    assert screen.lines()[1] == "  already"
