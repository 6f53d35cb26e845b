"""Where a sweep stands, with values computed by hand."""

import json
import os
import shutil
from pathlib import Path

import pytest
from searched import ENDED, trial, write_tune
from written_sweep import BEGAN, WrittenSweep, at

from bakeoff.runs.rundir import CONFIG, EPOCHS, STATUS, SUMMARY
from bakeoff.runs.states import DIVERGED, FAILED, FINISHED, INTERRUPTED, LOST, PRUNED, QUEUED, RUNNING
from bakeoff.sweeps import standing
from bakeoff.sweeps.ledger import read_ledger
from bakeoff.sweeps.standing import JobStanding, Looks, Standing
from bakeoff.sweeps.table import summary_lines

GONE = 2**22 + 1  # more than the system gives


class Watch:
    """Looks at a sweep by a clock of the test's."""

    def __init__(self, sweep: WrittenSweep) -> None:
        self.seconds = 0.0
        self.looks = Looks(sweep.ledger, lambda: BEGAN + self.seconds)

    def at(self, seconds: float) -> Standing:
        self.seconds = seconds
        return self.looks.look()

    def job(self, number: int, seconds: float) -> JobStanding:
        return self.at(seconds).jobs[number]


def three_epochs(sweep: WrittenSweep, number: int, ended: float) -> None:
    """Of 6, 2 and 2 seconds; the last one ended then."""
    for epoch, (accuracy, took) in enumerate(((0.5, 6.0), (0.8, 2.0), (0.7, 2.0)), start=1):
        sweep.epoch(number, epoch, accuracy, took)
    os.utime(sweep.run(number) / EPOCHS, (BEGAN + ended, BEGAN + ended))


def test_a_running_job_and_all_of_them(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "cnn", "vit", "vit", "cnn"], at_once=2)
    sweep.finish(0, 0.9, took=40, total=20)
    sweep.start(1, 60)
    three_epochs(sweep, 1, ended=99)
    sweep.start(2, 90)
    found = Watch(sweep).at(100)
    job = found.jobs[1]
    assert (job.epoch, job.epochs, job.accuracy, job.best, job.seconds) == (3, 10, 0.7, 0.8, 40)
    assert job.share == pytest.approx(0.3)
    assert job.left == pytest.approx(7 * 2 - 1)  # seven median epochs, of which a second is over
    assert (found.jobs[0].best, found.jobs[0].seconds, found.jobs[0].share) == (0.9, 40, 1)
    assert (found.jobs[2].left, found.jobs[2].seconds, found.jobs[2].epochs) == (None, 10, 10)
    assert [found.done, found.failed, len(found.running), found.waiting] == [1, 0, 2, 2]
    assert {data: best.entry.folder for data, best in found.best.items()} == {
        "digits": sweep.entries[0].folder
    }
    # The cnn that waits takes 40 s, as the one before; nothing is known of a vit.
    assert (found.left, found.left_is_least) == (40, True)


def test_time_left_for_all_when_every_model_is_known(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "vit", "cnn", "vit", "cnn"], at_once=2)
    sweep.finish(0, None, took=10)
    sweep.finish(1, 0.5, took=30)
    sweep.start(2, 34)  # 4 s ago, of about 10
    sweep.start(3, 33)  # 5 s ago, of about 30
    found = Watch(sweep).at(38)
    assert [job.left for job in found.running] == [6, 25]
    assert (found.left, found.left_is_least) == (25, False)  # the last cnn is over after 6 + 10
    sweep.ledger.jobs_at_once = 3
    assert Watch(sweep).at(38).left == 25
    sweep.end(3, FAILED, "x", 37)
    assert Watch(sweep).at(38).left == 10  # at once, beside the other one


def test_a_model_that_runs_first_tells_of_those_that_wait(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "cnn"])
    sweep.start(0, 60)
    three_epochs(sweep, 0, ended=100)
    found = Watch(sweep).at(100)
    assert found.left == (14) + (40 + 14)
    sweep.write(owned=False)
    found = Watch(sweep).at(100)
    assert (found.left, found.is_worked_on) == (None, False)


def test_an_epoch_that_takes_longer_than_all_before_it_is_not_over(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"])
    sweep.start(0)
    three_epochs(sweep, 0, ended=50)
    assert Watch(sweep).job(0, 90).left == 6 * 2  # six epochs are left besides it


def test_a_run_of_which_nothing_is_known_makes_the_estimate_a_least_one(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "vit", "cnn"])
    sweep.finish(0, 0.5, took=10)
    sweep.start(1, 10)
    found = Watch(sweep).at(12)
    assert (found.left, found.left_is_least) == (10, True)


def test_what_was_done_before_a_resume_counts(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 4, epochs=4)
    for number in (0, 1):
        three_epochs(sweep, number, ended=0)
    sweep.start(0)
    sweep.end(1, INTERRUPTED, "stopped by Ctrl-C", seconds=-1)
    found = Watch(sweep).at(1)
    # Its three epochs took 10 s; of the fourth, which takes 2 s, a second is over.
    assert (found.jobs[0].seconds, found.jobs[0].left) == (10, 1)
    waits = found.jobs[1]
    assert (waits.state.state, waits.share, waits.best) == (QUEUED, 0.75, 0.8)
    assert (found.jobs[2].share, found.jobs[2].best) == (0, None)
    # A whole run takes 11 s, and of the one that was stopped a quarter is left.
    assert (found.left, found.left_is_least) == (1 + 11 / 4 + 2 * 11, False)


def test_the_median_of_finished_runs_is_taken(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 4)
    sweep.finish(0, 0.5, took=10)
    sweep.finish(1, 0.5, took=10, total=90)  # it was resumed: the ledger knows of its last start alone
    sweep.finish(2, 0.5, took=20)
    assert Watch(sweep).at(100).left == 20


@pytest.mark.parametrize(("budget", "left", "share"), [(30.0, 7 * 2.0, 0.3), (9.0, 2.0, 7.5 / 9)])
def test_a_budget_of_training_time(tmp_path: Path, budget: float, left: float, share: float) -> None:
    """7.5 s of training are over; an epoch takes 1.5 s of training and half a second of validation."""
    sweep = WrittenSweep(tmp_path / "s", ["cnn"])
    (sweep.run(0) / CONFIG).write_text(json.dumps({"trainer": {"epochs": 10, "max_seconds": budget}}))
    sweep.start(0)
    three_epochs(sweep, 0, ended=50)
    job = Watch(sweep).job(0, 50)
    assert (job.left, job.share) == (pytest.approx(left), pytest.approx(share))


def test_the_directory_wins_and_the_ledger_knows_of_starts_and_ends(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 7)
    sweep.note(0, state=RUNNING, started=at(1))  # its process has not written yet
    sweep.start(1)
    sweep.finish(1, 0.5, took=9)
    sweep.note(1, state=RUNNING)  # and the scheduler has not seen the end
    sweep.end(2, FAILED, "of before", seconds=-5)  # this pass takes it up again
    sweep.end(3, FAILED, "no room", seconds=5)
    sweep.start(4)
    sweep.end(4, INTERRUPTED, "stopped by SIGTERM", seconds=5)
    sweep.end(5, DIVERGED, "infinite", seconds=-5)  # it does not
    sweep.note(
        6, state=FAILED, reason="ended by SIGKILL", started=at(1), ended=at(2)
    )  # its status could not be
    status = sweep.status(6) | {"status": RUNNING, "pid": GONE}
    (sweep.run(6) / STATUS).write_text(json.dumps(status))
    found = Watch(sweep).at(20)
    states = [RUNNING, FINISHED, QUEUED, FAILED, INTERRUPTED, DIVERGED, FAILED]
    assert [job.state.state for job in found.jobs] == states
    assert [job.state.reason for job in found.jobs][2:4] == [None, "no room"]
    assert found.jobs[6].state.reason == "ended by SIGKILL"
    assert [found.done, found.failed, len(found.running), found.waiting] == [1, 3, 1, 2]

    sweep.write(owned=False)  # nobody works on it: what the directories say is all
    found = Watch(sweep).at(20)
    assert [job.state.state for job in found.jobs] == [
        QUEUED, FINISHED, FAILED, FAILED, INTERRUPTED, DIVERGED, LOST,
    ]  # fmt: skip
    assert [found.done, found.failed, len(found.running), found.waiting] == [1, 4, 0, 2]


def test_pruned_is_done_and_a_run_that_failed_is_never_the_best(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 3)
    sweep.start(0)
    sweep.epoch(0, 1, 0.99)
    sweep.end(0, DIVERGED, "infinite", 5)
    sweep.end(1, PRUNED, "", 5)
    sweep.start(2)
    sweep.epoch(2, 1, 0.25)
    found = Watch(sweep).at(20)
    assert [found.done, found.failed] == [1, 1]
    assert found.best["digits"].best == 0.25
    assert found.jobs[0].best == 0.99


def test_another_process_sees_the_same_in_the_ledgers_file(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "vit"], at_once=2)
    sweep.start(0, 1)
    sweep.epoch(0, 1, 0.5)
    sweep.write()
    theirs = read_ledger(tmp_path / "s")
    assert theirs.parent is not None
    theirs.parent["started"] = at(0)
    assert Looks(theirs, lambda: BEGAN + 9).look() == Watch(sweep).at(9)


def test_running_jobs_are_read_twice_a_second_and_finished_ones_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counting(run: Path) -> standing.RunState:
        read.append(run.name.partition("-")[0])
        return state_of(run)

    state_of = standing.state_of
    monkeypatch.setattr(standing, "state_of", counting)
    sweep = WrittenSweep(tmp_path / "s", ["finished", "running", "waiting"])
    sweep.finish(0, 0.5, took=1)
    sweep.start(1)
    watch = Watch(sweep)
    for tick in range(101):  # ten a second, for ten seconds
        watch.at(tick / 10)
    counts = {name: read.count(name) for name in ("finished", "running", "waiting")}
    assert counts["finished"] == 1
    assert 15 <= counts["running"] <= 21
    assert 2 <= counts["waiting"] <= 3
    sweep.start(2)  # what the ledger has news of is looked at
    assert watch.at(10.6).jobs[2].state.state == RUNNING


def test_news_are_seen_after_half_a_second(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"])
    sweep.start(0)
    watch = Watch(sweep)
    first = watch.at(1)
    sweep.epoch(0, 1, 0.5)
    assert watch.at(1.4) is first
    assert watch.job(0, 1.6).epoch == 1
    sweep.epoch(0, 2, 0.6)
    assert watch.looks.of(sweep.entries[0].folder).epoch == 2  # at once, where one asks for it
    assert watch.at(0).jobs  # a clock that was set back


def test_directories_that_are_gone_or_damaged_end_nothing(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn"] * 4)
    sweep.start(0)
    shutil.rmtree(sweep.run(0))
    shutil.rmtree(sweep.run(1))
    (sweep.run(2) / SUMMARY).write_text('{"val": [], "time": {"total_seconds": "long"}, "epochs_run": 1e999}')
    sweep.start(3)
    (sweep.run(3) / CONFIG).write_text('{"trainer": {"epochs": "ten", "max_seconds": -1}}')
    sweep.epoch(3, 1, 7.5)
    for owned, first in ((True, RUNNING), (False, LOST)):
        sweep.write(owned=owned)
        found = Watch(sweep).at(9)
        assert [job.state.state for job in found.jobs] == [first, QUEUED, FINISHED, RUNNING]
        assert [job.best for job in found.jobs] == [None] * 4
        assert (found.jobs[3].epoch, found.jobs[3].epochs, found.jobs[3].left) == (1, None, None)


def test_trials_of_a_search_that_have_not_begun_are_to_come(tmp_path: Path) -> None:
    sweep = WrittenSweep(tmp_path / "s", ["cnn", "cnn"])
    sweep.start(0)
    sweep.finish(0, 0.5, took=10)
    sweep.start(1)
    results = [trial("cnn", number, None, state="running") for number in range(2)]
    write_tune(tmp_path / "s", results, trials=5)
    found = Watch(sweep).at(10)
    assert found.to_come == 3
    assert summary_lines(found, None)[0].startswith("1 of 5 done")
    assert found.left is not None
    assert found.left >= 3 * 10
    write_tune(tmp_path / "s", results, trials=5, ended=ENDED)
    assert Watch(sweep).at(10).to_come == 0
