"""A search that was killed, stopped or given again: the same trials, each once."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from fake_search import NIGHT, RATE, WORDS, Trial, check_whole, decisions, record, results, search_here

pytestmark = pytest.mark.usefixtures("tune_extra")
QUIET = ["tune.confirm=0", "tune.storage=journal"]


SPOTS = [("claim", 0), ("claim", 5), ("_with_values", 3), ("report", 20), ("should_prune", 37), ("tell", 2)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)


class Killed(BaseException):
    """In place of SIGKILL: nothing of the search runs after it, but what Python itself does."""


def stopped_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """The process ends in the given call of a method of the study."""
    from bakeoff.sweeps.search import study

    real, calls = getattr(study.Study, name), iter(range(1000))

    def method(self: Any, *words: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return real(self, *words)

    monkeypatch.setattr(study.Study, name, method)


@pytest.mark.parametrize(
    ("name", "call"),
    [("report", 45), *(pytest.param(*at, marks=pytest.mark.slow) for at in SPOTS)],
)
def test_a_search_that_was_killed_makes_the_same_decisions(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    words = [*WORDS, RATE, "optim.weight_decay=interval(0.0,0.1)", "tune.trials=13", *QUIET]
    bakeoff("tune", *words)
    whole = decisions()
    assert any(state == "pruned" for _, _, state, _ in whole)
    NIGHT.rename("whole")
    with monkeypatch.context() as patch:
        stopped_at(patch, name, call)
        with pytest.raises(Killed):
            bakeoff("tune", *words)
    assert record()["ended"] is None
    # The words in another order, since that means the same.
    assert bakeoff("tune", *reversed(words))[0] == 0
    check_whole(13)
    assert decisions() == whole


@pytest.mark.slow
def test_a_process_killed_within_ask_leaves_a_trial_for_the_next(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    words = [*WORDS, RATE, "optim.weight_decay=interval(0.0,0.1)", "tune.trials=3", *QUIET]
    bakeoff("tune", *words)
    whole = decisions()
    NIGHT.rename("whole")
    with monkeypatch.context() as patch:
        real = optuna.trial.Trial._suggest

        def suggest(self: Any, key: str, kind: Any) -> Any:
            if self.number == 1 and key == "optim.weight_decay":
                raise Killed
            return real(self, key, kind)

        patch.setattr(optuna.trial.Trial, "_suggest", suggest)
        with pytest.raises(Killed):
            bakeoff("tune", *words)
    assert bakeoff("tune", *words)[0] == 0
    check_whole(3)
    assert decisions() == whole


def test_ctrl_c_saves_and_the_same_words_go_on(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in WORDS if not word.startswith("sweep.")]
    real = Trial.work

    def work(self: Trial) -> int | None:
        if self.epoch == 3 and not Path("pressed").exists():
            Path("pressed").touch()
            os.kill(os.getpid(), signal.SIGINT)
        return real(self)

    monkeypatch.setattr(Trial, "work", work)
    code, _, error = bakeoff("tune", *words, RATE, "tune.trials=3", *QUIET)
    (folder,) = Path("outputs/sweeps").iterdir()
    assert code == 75
    assert (
        f"0 of 3 trials finished; go on with the same command, or with bakeoff resume {folder.name}" in error
    )
    assert bakeoff("tune", *words, RATE, "tune.trials=3", *QUIET)[0] == 0
    check_whole(3, folder)
    assert (folder / results(folder)[0]["run"] / "began").read_text() == "xx"
    # It has ended: the same words begin another one.
    assert bakeoff("tune", *words, RATE, "tune.trials=3", *QUIET)[0] == 0
    assert len(list(Path("outputs/sweeps").iterdir())) == 2


@pytest.mark.slow
def test_resume_goes_on_by_the_words_of_the_ledger(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*WORDS, RATE, "tune.trials=4", "sweep.on_failure=stop", *QUIET]
    with monkeypatch.context() as patch:
        stopped_at(patch, "tell", 1)
        with pytest.raises(Killed):
            bakeoff("tune", *words)
    code, _, error = bakeoff("resume", "night")
    assert (code, error) == (0, "")
    check_whole(4)
    ledger = json.loads((NIGHT / "sweep.json").read_text())
    assert ledger["line"] == [word for word in words if not word.startswith("sweep.")]
    assert ledger["options"]["on_failure"] == "stop"


@pytest.mark.slow
def test_more_trials_go_on_with_an_ended_search(bakeoff: Bakeoff) -> None:
    bakeoff("tune", *WORDS, RATE, "tune.trials=2", *QUIET)
    first = decisions()
    assert bakeoff("tune", *WORDS, RATE, "tune.trials=4", *QUIET)[0] == 0
    check_whole(4)
    assert decisions()[:2] == first


@pytest.mark.slow
def test_another_space_or_configuration_is_refused(bakeoff: Bakeoff) -> None:
    bakeoff("tune", *WORDS, RATE, "tune.trials=1", *QUIET)
    before = (NIGHT / "tune.json").read_bytes()
    for words, told in (
        (["optim.lr=interval(1e-4,1e-2)"], "another space (optim.lr: 0.0001 to 0.1, log scale instead of "),
        ([RATE, "trainer.batch_size=7"], "another configuration, or other data;"),
        ([RATE, "tune.metric=val.nll"], "another metric (val.accuracy instead of val.nll)"),
    ):
        code, _, error = bakeoff("tune", *WORDS, *words, "tune.trials=2", *QUIET)
        assert code == 2
        assert told in error
        assert (NIGHT / "tune.json").read_bytes() == before


@pytest.mark.slow
def test_a_trial_of_other_code_is_trained_anew(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*WORDS, RATE, "tune.trials=3", *QUIET]
    with monkeypatch.context() as patch:
        stopped_at(patch, "tell", 1)
        with pytest.raises(Killed):
            bakeoff("tune", *words)
    before = results()[1]["run"]
    monkeypatch.setattr("bakeoff.experiment.identity.code_hash", lambda _values: "other")
    code, out, _ = bakeoff("tune", *words)
    assert (code, f"note: {before} was begun with other code; it is trained anew" in out) == (0, True)
    assert before not in [one["run"] for one in results()]
    ledger = json.loads((NIGHT / "sweep.json").read_text())
    assert [job["folder"] for job in ledger["jobs"]] == [one["run"] for one in results()]
    assert (NIGHT / before / "status.json").exists()
