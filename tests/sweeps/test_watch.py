"""`bakeoff watch`: on sweeps and runs that change while it looks."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Bakeoff
from terminals import terminal
from written_sweep import WrittenSweep

from bakeoff.cli import main
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.states import DIVERGED, FAILED, INTERRUPTED, RUNNING
from bakeoff.sweeps import following, standing

REASON = "ended by SIGKILL; no memory"
GONE = 2**22 + 1  # a process number that the system does not give


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(following, "_SECONDS_BETWEEN_TICKS", 0.01)
    monkeypatch.setattr(following, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(standing, "SECONDS_BETWEEN_LOOKS", 0.02)


@pytest.fixture
def night(tmp_path: Path) -> WrittenSweep:
    return WrittenSweep(tmp_path / "outputs" / "sweeps" / "night", ["cnn", "vit", "cnn"], at_once=2)


@contextmanager
def meanwhile(*acts: Callable[[], object]) -> Iterator[None]:
    """Does one after the other, a few looks apart, while the block watches."""

    def work() -> None:
        for act in acts:
            time.sleep(0.1)
            act()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def then(sweep: WrittenSweep, *acts: Callable[[], object]) -> Callable[[], None]:
    def act() -> None:
        for each in acts:
            each()
        sweep.write()

    return act


def test_a_sweep_is_followed_to_its_end_in_lines(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    night.start(0)
    night.epoch(0, 1, 0.5)
    night.write()
    with meanwhile(
        then(night, lambda: night.start(1)),
        then(night, lambda: night.finish(0, 0.9725, took=42), lambda: night.start(2)),
        then(night, lambda: night.end(1, FAILED, REASON)),
        # It ends between two looks.
        lambda: (night.finish(2, 0.5, took=7), night.write(owned=False)),
    ):
        code, out, err = bakeoff("watch")
    folder = night.folder
    assert (code, err) == (7, "")
    assert out.splitlines() == [
        f"sweep {folder}: 0 of 3 done, 1 running, 2 waiting; more than 20 seconds left",
        "[2/3] model=vit seed=1: started",
        "[1/3] model=cnn seed=0: 97.25 % validation accuracy in 42 s",
        "[3/3] model=cnn seed=2: started",
        f"[2/3] model=vit seed=1: failed: {REASON}",
        "[3/3] model=cnn seed=2: 50.00 % validation accuracy in 7 s",
        f"sweep {folder}: 2 of 3 done, 1 failed; nobody works on it",
        "best by validation: 97.25 % model=cnn seed=0",
        "next           bakeoff resume night",
        f"               bakeoff compare {folder}",
    ]


def test_on_a_terminal_there_is_the_table_and_it_goes_away(night: WrittenSweep) -> None:
    night.start(0)
    night.end(1, FAILED, REASON, seconds=2)
    night.write()
    with (
        terminal(80) as it,
        meanwhile(
            then(night, lambda: night.epoch(0, 1, 0.5)),
            lambda: (night.end(0, INTERRUPTED, "stopped"), night.write(owned=False)),
        ),
    ):
        assert main(["watch", "night"]) == 75
    assert "model=cnn seed=0  " in it.written
    assert "1/10" in it.written
    plain = it.written.replace("\r\n", "\n")
    assert f"[2/3] model=vit seed=1: failed: {REASON}" in plain.replace("\033[1;31m", "")
    assert "[1/3] model=cnn seed=0: stopped and saved at step 19" in plain
    assert plain.split("\033[2K")[-1].endswith("bakeoff resume night\n")
    assert plain.count(REASON) == 1


@pytest.mark.parametrize(("ends", "code"), [((0, 1, 2), 0), ((0, 1), 75)])
def test_a_sweep_that_nobody_works_on_is_said_at_once(
    night: WrittenSweep, bakeoff: Bakeoff, ends: tuple[int, ...], code: int
) -> None:
    for number in ends:
        night.finish(number, number / 10, took=1)
    night.write(owned=False)
    lines = bakeoff("watch", "nig")[1].splitlines()
    assert bakeoff("watch", str(night.folder))[0] == code
    waiting = ", 1 waiting" if code else ""
    assert lines[0] == f"sweep {night.folder}: {len(ends)} of 3 done{waiting}; nobody works on it"
    assert lines[2].startswith("next           bakeoff " + ("resume night" if code else "compare "))
    code, _, err = bakeoff("watch")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: nothing is being trained below {night.folder.parents[1]}; ")
    assert err.endswith(": bakeoff watch night\n")


def test_failures_of_a_sweep_that_has_ended_have_their_reasons(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    night.end(0, FAILED, REASON)
    night.end(1, DIVERGED, "the loss is not finite")
    status = night.status(2) | {"status": RUNNING, "pid": GONE, "step": 7}
    (night.run(2) / "status.json").write_text(json.dumps(status))
    night.write(owned=False)
    code, out, _ = bakeoff("watch", "night")
    assert code == 7
    assert out.splitlines()[1:4] == [
        f"failed: model=cnn seed=0: {REASON}",
        "diverged: model=vit seed=1: the loss is not finite",
        f"lost: model=cnn seed=2: no sign of life since {status['heartbeat']}, step 7",
    ]


def test_a_diverged_run_is_shown_and_not_resumed(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    for number in (0, 1):
        night.finish(number, 0.5, took=1)
    night.end(2, DIVERGED, "the loss is not finite")
    night.write(owned=False)
    code, out, _ = bakeoff("watch", "night")
    steps = ["next           bakeoff show night", f"               bakeoff compare {night.folder}"]
    assert (code, out.splitlines()[-2:]) == (7, steps)
    assert bakeoff("cancel", "night")[1].splitlines()[-1] == steps[0]


def test_the_next_command_finds_a_sweep_that_is_elsewhere(
    night: WrittenSweep, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.write(owned=False)
    monkeypatch.setenv("BAKEOFF_OUTPUTS", "elsewhere")
    monkeypatch.chdir(night.folder.parent.parent)
    for command in ("watch", "cancel"):
        said = bakeoff(command, "sweeps/night")[1].splitlines()[-1]
        assert said == "next           bakeoff resume sweeps/night"


def test_of_many_failures_the_last_ones_are_told(tmp_path: Path, bakeoff: Bakeoff) -> None:
    sweep = WrittenSweep(tmp_path / "outputs" / "sweeps" / "many", ["cnn"] * 13)
    sweep.start(12)
    for number in range(12):
        sweep.end(number, FAILED, REASON, seconds=60 - number)
    sweep.write()
    with meanwhile(lambda: (sweep.finish(12, 0.5, took=7), sweep.write(owned=False))):
        code, out, _ = bakeoff("watch", "many")
    lines = out.splitlines()
    assert code == 7
    assert lines[1] == "(2 that failed before these; see bakeoff show many)"
    assert [line.split(":")[0] for line in lines[2:13]] == [
        *(f"[{number}/13] model=cnn seed={number - 1}" for number in range(10, 0, -1)),
        "[13/13] model=cnn seed=12",
    ]


def test_a_killed_parent_ends_the_watching(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    night.start(0)
    night.write()

    def kill() -> None:
        ledger = json.loads((night.folder / "sweep.json").read_text())
        ledger["parent"]["pid"] = GONE
        (night.folder / "sweep.json").write_text(json.dumps(ledger))

    with meanwhile(kill):
        code, out, _ = bakeoff("watch")
    assert code == 75
    assert "1 running, 2 waiting; nobody works on it" in out


def test_ctrl_c_leaves_the_watching_alone(night: WrittenSweep, bakeoff: Bakeoff) -> None:
    night.start(0)
    night.write()
    before = sorted(path for path in night.folder.rglob("*"))
    with meanwhile(lambda: os.kill(os.getpid(), signal.SIGINT)):
        code, out, err = bakeoff("watch", "latest")
    assert (code, err) == (75, "")
    assert out.splitlines()[1:] == [
        "the sweep goes on",
        "watch again    bakeoff watch night",
        "stop it        bakeoff cancel night",
    ]
    assert sorted(path for path in night.folder.rglob("*")) == before


def test_a_run_of_a_sweep_is_followed_through_its_turn(tmp_path: Path, bakeoff: Bakeoff) -> None:
    night = WrittenSweep(tmp_path / "outputs" / "sweeps" / "night", ["cnn"], epochs=20)
    for epoch in range(1, 13):
        night.epoch(0, epoch, epoch / 20)
    with meanwhile(
        then(night, lambda: night.start(0)),
        lambda: night.epoch(0, 13, 0.75),
        lambda: night.epoch(0, 14, None),
        then(night, lambda: night.finish(0, 0.9725, took=42)),
    ):
        code, out, _ = bakeoff("watch", str(night.run(0)))
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"run {night.run(0)}: 20 epochs at most"
    assert lines[1] == "(2 epochs before these)"
    assert lines[2].split() == ["training", "validation", "validation", "learning", "images"]
    assert [line.split()[:2] for line in lines[4:16]] == [["epoch", f"{epoch}/20"] for epoch in range(3, 15)]
    assert lines[14].split()[3:5] == ["75.00", "%"]
    assert lines[16] == f"{night.entries[0].folder}: finished"
    assert lines[-1] == f"next           bakeoff compare {night.run(0)}"


def single(tmp_path: Path, status: str, reason: str | None = None) -> Path:
    run = tmp_path / "outputs" / "2026-01-01" / "101010-cnn-digits-s0-abcd"
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"trainer": {"epochs": 3}}')
    RunDir(run).write_status(status, 19, reason)
    return run


def test_a_single_run_that_runs_is_found_without_a_word(tmp_path: Path, bakeoff: Bakeoff) -> None:
    run = single(tmp_path, RUNNING)

    def finish() -> None:
        (run / "summary.json").write_text(
            '{"val": {"accuracy": 0.5}, "best_epoch": 2, "test": {"accuracy": 1}}'
        )

    with meanwhile(finish):
        code, out, _ = bakeoff("watch")
    assert code == 0
    assert out.splitlines()[1] == f"{run.name}: finished: 50.00 % validation accuracy (epoch 2)"
    assert "100" not in out  # the test accuracy
    assert bakeoff("watch", "101010")[1].splitlines()[0] == out.splitlines()[1]


@pytest.mark.parametrize(
    ("state", "code", "goes_on"), [(FAILED, 7, True), (INTERRUPTED, 75, True), (DIVERGED, 7, False)]
)
def test_how_a_run_has_ended(tmp_path: Path, bakeoff: Bakeoff, state: str, code: int, goes_on: bool) -> None:
    run = single(tmp_path, state, REASON)
    found, out, _ = bakeoff("watch", str(run))
    assert found == code
    assert out.splitlines()[:2] == [f"{run.name}: {state}, not finished: {REASON}", f"run directory  {run}"]
    assert ("bakeoff resume" in out) == goes_on


def test_a_run_goes_on_when_its_watching_is_left(tmp_path: Path, bakeoff: Bakeoff) -> None:
    run = single(tmp_path, RUNNING)
    with meanwhile(lambda: os.kill(os.getpid(), signal.SIGINT)):
        code, out, _ = bakeoff("watch", run.name)
    assert code == 75
    assert out.splitlines()[1:] == ["the run goes on", f"watch again    bakeoff watch {run}"]


def test_a_run_that_went_back_to_a_checkpoint_tells_its_epochs_again(
    tmp_path: Path, bakeoff: Bakeoff
) -> None:
    sweep = WrittenSweep(tmp_path / "outputs" / "sweeps" / "s", ["cnn"])
    sweep.start(0)
    for epoch, accuracy in ((1, 0.1), (2, 0.2)):
        sweep.epoch(0, epoch, accuracy)
    file = sweep.run(0) / "epochs.jsonl"

    def go_back() -> None:
        (sweep.run(0) / "new").write_text(file.read_text().splitlines(keepends=True)[0])
        os.replace(sweep.run(0) / "new", file)

    with meanwhile(
        go_back,
        lambda: sweep.epoch(0, 2, 0.3),
        then(sweep, lambda: sweep.finish(0, 0.3, took=1)),
    ):
        out = bakeoff("watch", str(sweep.run(0)))[1]
    assert [line.split()[3] for line in out.splitlines() if line.startswith("epoch")] == [
        "10.00",
        "20.00",
        "30.00",
    ]


def test_what_cannot_be_watched(tmp_path: Path, bakeoff: Bakeoff) -> None:
    root = tmp_path / "outputs"
    assert bakeoff("watch")[::2] == (2, f"error: nothing is being trained below {root}\n")
    assert bakeoff("watch", "nothing")[0] == 2
    old = WrittenSweep(root / "sweeps" / "old", ["cnn"])
    (old.folder / "sweep.json").unlink()
    code, _, err = bakeoff("watch", "old")
    assert (code, "sweep.json" in err, err.count("\n")) == (2, True, 1)
