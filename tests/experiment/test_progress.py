"""What is said while a model trains: it fits the terminal, tells how long, and changes nothing."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Bakeoff
from run_directories import NAMES, make_run
from searched import write_race
from terminals import WIDTHS, terminal
from toy import CPU, toy_config, toy_split, toy_state

from bakeoff.evaluation.metrics import score
from bakeoff.experiment.epoch_table import epoch_line, headings
from bakeoff.experiment.progress import Pace, ProgressReport, conclude, epochs_left
from bakeoff.machine.waiting import Bar
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.runs.rundir import RunDir
from bakeoff.training.loop import fit

RECORD = EpochRecord(
    epoch=3, step=99, lr=0.00123456, train_loss=1.5, train_loss_parts={}, val=ValidationScores(0.915, 0.9, 0.25),
    train_seconds=4321.06, eval_seconds=1.0, train_images_per_second=25_084.4,
)  # fmt: skip


def test_an_epochs_figures_stand_below_their_names() -> None:
    first, second = headings(RECORD, 10, None)
    line = epoch_line(RECORD, 10, None)
    found = {}
    for name in re.finditer(r"\S+( \S+)*", second):
        texts = [text[: name.end()].split("  ")[-1].split() for text in (first, second, line)]
        found[" ".join([*texts[0], *texts[1]])] = texts[2][-1]
    assert line.startswith("epoch  3/10  ")
    assert "  4,321.1 s  " in line
    assert "  91.50 %  " in line
    assert found == {
        "training loss": "1.5000",
        "validation accuracy": "%",
        "validation loss (NLL)": "0.2500",
        "learning rate": "0.00123",
        "time": "s",
        "images / second": "25,084",
    }


@pytest.mark.parametrize("columns", [30, *WIDTHS])
@pytest.mark.parametrize("epochs", [3, 1000])
def test_lines_of_epochs_fit_and_lose_whole_columns(columns: int, epochs: int) -> None:
    whole = epoch_line(RECORD, epochs, None).split()
    lines = [*headings(RECORD, epochs, columns), epoch_line(RECORD, epochs, columns)]
    assert max(map(len, lines)) <= columns
    assert len(set(map(len, lines))) == 1  # aligned
    assert set(lines[-1].split()) <= set(whole)
    assert "91.50 %" in lines[-1]
    assert columns < 80 or lines[-1].split() == whole


def test_without_validation_there_are_no_columns_for_it() -> None:
    without = dataclasses.replace(RECORD, val=None)
    assert "validation" not in headings(without, 10, None)[0]
    assert len(epoch_line(without, 10, None).split()) == len(epoch_line(RECORD, 10, None).split()) - 3


@pytest.mark.parametrize(
    ("epochs", "patience", "ends", "said"),
    [
        # 9 epochs of 80 s; the second takes as long.
        (10, None, [80.0, 160.0, 240.0], ["about 12 minutes for the remaining 9 epochs"]),
        (2, None, [80.0, 160.0], ["about 80 seconds for the remaining 1 epoch"]),
        (10, 3, [80.0], ["about 12 minutes for the remaining 9 epochs, or less if it stops early"]),
        # The first kept the features of frozen layers: 8 epochs of 10 s are left.
        (
            10,
            None,
            [80.0, 90.0, 100.0],
            [
                "about 12 minutes for the remaining 9 epochs",
                "corrected: about 80 seconds for the remaining 8 epochs",
            ],
        ),
        (
            10,
            None,
            [80.0, 81.0],
            [
                "about 12 minutes for the remaining 9 epochs",
                "corrected: about 8 seconds for the remaining 8 epochs",
            ],
        ),
        (10, None, [1.0, 41.0], ["corrected: about 5 minutes for the remaining 8 epochs"]),
        (10, None, [1.0, 2.0], []),  # over in 9 s
        (1, None, [900.0], []),
    ],
)
def test_how_long_the_rest_takes(
    epochs: int, patience: int | None, ends: list[float], said: list[str]
) -> None:
    pace = Pace(epochs, patience, now=0.0)
    told = [pace.after(number, end) for number, end in enumerate(ends, start=1)]
    assert [text for text in told if text] == said


def test_a_resumed_run_measures_by_its_first_whole_epoch() -> None:
    pace = Pace(10, None, now=0.0, first=5)  # it began within the fourth
    ends = [(4, 3.0), (5, 83.0), (6, 165.0), (7, 900.0)]
    assert [pace.after(epoch, end) for epoch, end in ends] == [
        None,
        "about 7 minutes for the remaining 5 epochs",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("trained", "planned", "max_seconds", "left", "said"),
    [
        # 80 s an epoch, validation included, of which 60 s train.
        (60.0, None, None, math.inf, "about 12 minutes for the remaining 9 epochs"),
        (60.0, None, 150.0, 1.5, "about 2 minutes for the remaining 2 epochs"),
        (60.0, 9, 150.0, 1.25, "about 2 minutes for the remaining 2 epochs"),  # of 4 steps each
        (60.0, 12, 150.0, 1.5, "about 2 minutes for the remaining 2 epochs"),
        (60.0, 4, 150.0, 0.0, None),
        (200.0, None, 150.0, 0.0, None),
        (60.0, None, 6e9, 1e8, "about 12 minutes for the remaining 9 epochs"),
    ],
)
def test_a_budget_leaves_at_most_so_much(
    trained: float, planned: int | None, max_seconds: float | None, left: float, said: str | None
) -> None:
    state = toy_state(toy_config())
    state.times.seconds["train"] = trained
    state.planned_steps = planned
    record = dataclasses.replace(RECORD, epoch=1, step=4, train_seconds=60.0)
    found = epochs_left(state, record, max_seconds)
    assert found == pytest.approx(left, rel=0.1)
    assert Pace(10, None, now=0.0).after(1, 80.0, found) == said


def test_lines_and_bars_count_the_epochs_of_a_plan(tmp_path: Path) -> None:
    state, run = toy_state(toy_config()), RunDir.create(tmp_path / "run")
    with terminal(100) as screen:
        report = ProgressReport(100, 40, 1000)
        report.begin_epoch(1)
        assert not report.has_news(state)
        state.step = state.step_in_epoch = 3
        state.planned_steps = 16  # of 7 an epoch
        assert report.has_news(state)
        report.tell_plan(run, state, 7)
        assert not report.has_news(state)
        report.end_epoch(run, dataclasses.replace(RECORD, epoch=1))
        report.begin_epoch(3)
        assert report._bar is not None
        assert report._bar._bar is not None
        assert report._bar._bar.total == round(100 * 2 / 7)
        state.out_of_time_at_step = 15
        assert report.has_news(state)
        report.tell_plan(run, state, 7)
        report.begin_epoch(4)  # there is none
        report.close()
    assert "epoch 1/1000" in screen.written
    assert "epoch 1/3" in screen.written
    assert "epoch 3/3" in screen.written
    assert "epoch 4" not in screen.written
    lines = [line.partition(" ")[2] for line in run.path.joinpath("run.log").read_text().splitlines()]
    assert lines[0] == "plan: 16 steps (2.3 of at most 1,000 epochs) fit into the time for training"
    assert lines[3].startswith("      epoch 1/3  ")
    assert len(lines[3]) == len(lines[2])
    assert lines[4:] == ["the time for training is over after step 15 of 16 planned"]
    state.out_of_time_at_step = 14
    report.tell_plan(run, state, 7)
    far = "14 of 16 planned; the steps became slower, so the learning rate has not fallen to its end\n"
    assert (run.path / "run.log").read_text().endswith(far)


def test_a_time_that_is_over_before_a_plan_is_told(tmp_path: Path) -> None:
    state, run = toy_state(toy_config()), RunDir.create(tmp_path / "run")
    state.out_of_time_at_step = 1234
    ProgressReport(100, 40, 1000).tell_plan(run, state, 7)
    told = "the time for training is over after step 1,234; there was no time for a plan\n"
    assert (run.path / "run.log").read_text().endswith(told)


def weights(watched: bool) -> dict[str, torch.Tensor]:
    config = toy_config(trainer__epochs=2)
    state, train, val = toy_state(config), toy_split(40), toy_split(30, seed=1)
    report = ProgressReport(len(train), len(val), 2)
    told = {"progress": report, "rated": report.rated} if watched else {}
    for _ in fit(state, train, val, config, CPU, **told):  # type: ignore[arg-type]
        report.close()
    return state.model.state_dict()


def test_bars_of_training_and_validation_change_nothing() -> None:
    alone = weights(watched=False)
    with terminal(80) as screen:
        shown = weights(watched=True)
    assert all(torch.equal(tensor, shown[name]) for name, tensor in alone.items())
    titles = [text.partition("  ")[0].partition(" 1")[0] for text in screen.drawn() if "%|" in text]
    assert list(dict.fromkeys(re.findall(r"(?:epoch|validation) \d/2", screen.written))) == [
        "epoch 1/2", "validation 1/2", "epoch 2/2", "validation 2/2",
    ]  # fmt: skip
    assert titles


def test_the_device_is_read_at_most_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    class Loss(torch.Tensor):
        def item(self) -> float:
            reads.append(now)
            return 1.0

    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    state = toy_state(toy_config())
    loss = torch.zeros(()).as_subclass(Loss)  # type: ignore[arg-type]
    with terminal(80):
        report = ProgressReport(1000, 0, 1)
        for _ in range(100):
            report(state, 1, loss)
            now += 0.04
        report.close()
    assert 6 <= len(reads) <= 9  # of 4 s
    report(state, 1, loss)  # in a pipe
    assert len(reads) <= 9


@pytest.mark.usefixtures("no_pictures")
def test_an_error_within_an_epoch_takes_its_bar_away(bakeoff: Bakeoff) -> None:
    line = [
        "data=digits",
        "model=cnn_small",
        "optim=sgd",
        "optim.lr=1e30",
        "optim.clip_norm=null",
        "optim.warmup=0",
    ]
    with terminal(80) as screen:
        code = bakeoff("train", *line)[0]
    assert code == 5
    assert any(text.startswith("epoch 1/10") for text in screen.drawn())
    assert not [text for text in screen.lines() if "%|" in text]
    assert any(text.startswith("error: optim.lr=1e+30") for text in screen.lines())


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("columns", [80, *(pytest.param(c, marks=pytest.mark.slow) for c in (60, 120))])
def test_a_run_on_a_terminal_fits_it_and_is_never_silent(
    columns: int, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bakeoff.machine.load._running_others", lambda: 99.0)
    moved, move_to = [], Bar.move_to

    def recorded(bar: Bar, done: int) -> None:
        moved.append((bar._bar.desc, done))  # type: ignore[union-attr]
        move_to(bar, done)

    monkeypatch.setattr(Bar, "move_to", recorded)
    step, begun = ProgressReport.__call__, []

    def stepped(report: ProgressReport, *rest: Any) -> None:
        begun.append(report._bar is not None)
        step(report, *rest)

    monkeypatch.setattr(ProgressReport, "__call__", stepped)
    with terminal(columns) as screen:
        bakeoff("train", "data=digits", "model=cnn_small", "trainer.epochs=2", "output_dir=o")
    (run,) = (path.parent for path in Path("o").glob("*/*/summary.json"))
    assert moved == [("validation 1/2", 200), ("validation 2/2", 200), ("test", 400), ("validation", 200)]
    assert len(begun) == 2 * 10  # steps, of 128 of 1,197 images
    assert all(begun)  # a bar stands before the first step, which may take long
    assert "epoch 3/2" not in screen.written
    seen, whole = screen.lines(), (run / "run.log").read_text()
    assert max(map(len, screen.drawn())) <= columns
    for text in ("loading torch", "reading digits", "making the network", "epoch 1/2", "validation 2/2",
                 "\rtest ", "writing weights", "the speed", "FLOPs"):  # fmt: skip
        assert text in screen.written, text
    assert not [line for line in seen if "%|" in line or line.endswith("...")]  # gone at the end
    assert seen[0].startswith("cnn_small on digits: 3,842 parameters; 1,197 training,")
    assert seen[1].startswith("  ")
    assert any(line.startswith("note: the machine is busy: load 99.0") for line in seen)
    said = [line.partition(" ")[2] for line in whole.splitlines()]
    assert all("\r" not in line for line in said)
    # In the log a line for each record, of the same words.
    for line in said:
        if line.startswith(("cnn_small", "note:", "test accuracy")):
            assert line in " ".join(text.strip() for text in seen)
    assert f"run directory  {run}" in seen


def test_the_last_lines_of_a_run_say_nothing_of_closed_test_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = make_run(tmp_path / "s" / "run")
    labels = np.arange(10) % 5
    rows = np.eye(5, dtype=np.float32)[labels]
    for val in (score(labels, rows, NAMES), None):
        told: list[Any] = []
        for is_sealed in (False, True):
            (tmp_path / "s" / "race.json").unlink(missing_ok=True)
            if is_sealed:
                write_race(tmp_path / "s")
            (tmp_path / "s" / "run" / "run.log").unlink(missing_ok=True)
            conclude(RunDir(tmp_path / "s" / "run"), dataclasses.replace(summary, val=val))
            printed = "".join(capsys.readouterr())
            told.append(printed + (tmp_path / "s" / "run" / "run.log").read_text())
        assert "test accuracy" in told[0]
        assert "test" not in told[1].replace(str(tmp_path), "")
        assert ("validation accuracy 100.00 %" in told[1]) == (val is not None)
