"""A search by one process: what is asked, trained, told, stopped early, and gone on with."""

import contextlib
import json
import signal
import sqlite3
from pathlib import Path

import pytest
from conftest import Bakeoff
from fake_search import NIGHT, RATE, WORDS, Trial, check_whole, decisions, record, results, search_here

pytestmark = pytest.mark.usefixtures("tune_extra")
JOURNAL = "tune.storage=journal"  # a file that is appended to is faster than a database
QUIET = ["tune.confirm=0", JOURNAL]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)


def test_a_search_from_its_first_trial_to_its_confirmation(bakeoff: Bakeoff) -> None:
    code, _, error = bakeoff("tune", *WORDS, RATE, "tune.trials=4", "tune.confirm=2", "tune.confirm_seeds=2")
    assert (code, error) == (0, "")
    own = results()
    assert [one["state"] for one in own] == ["finished"] * 4
    assert all(0.0001 <= one["params"]["optim.lr"] <= 0.1 for one in own)
    best = max(own, key=lambda one: one["values"])
    assert record()["best"]["number"] == best["number"]
    seeds = [job["seed"] for job in json.loads((NIGHT / "sweep.json").read_text())["jobs"]]
    assert sorted(seeds) == [0, 0, 0, 0, 1, 1, 2, 2]
    assert record()["ended"]
    with contextlib.closing(sqlite3.connect(NIGHT / "study.db")) as database:
        stored = database.execute("select state, count(*) from trials group by state").fetchall()
    assert stored == [("COMPLETE", 4)]


def test_trials_that_fail_do_not_end_it(bakeoff: Bakeoff) -> None:
    words = [
        *WORDS,
        RATE,
        "optim.weight_decay=choice(0.0,0.5)",
        "tune.trials=6",
        "tune.sampler=random",
        *QUIET,
    ]
    code, _, _ = bakeoff("tune", *words)
    assert code == 7
    check_whole(6)
    states = {(one["params"]["optim.weight_decay"], one["state"], one["values"] is None) for one in results()}
    assert states == {(0.0, "finished", False), (0.5, "failed", True)}


def test_on_failure_stop_stops_it(bakeoff: Bakeoff) -> None:
    words = [
        *WORDS,
        RATE,
        "optim.weight_decay=choice(0.5,0.5)",
        "tune.trials=6",
        "sweep.on_failure=stop",
        *QUIET,
    ]
    code, out, _ = bakeoff("tune", *words)
    assert (code, len(results()), record()["ended"]) == (7, 1, None)
    assert "stopped after the first failure" in out


def test_a_small_space_trains_nothing_twice(bakeoff: Bakeoff) -> None:
    words = [*WORDS, "optim.lr=choice(0.1,0.01)", *QUIET]
    # Begun with fewer trials than combinations, it goes on with its sampler, which repeats itself.
    assert bakeoff("tune", *words, "tune.trials=1", "sweep.name=night")[0] == 0
    assert bakeoff("tune", *words, "tune.trials=7", "sweep.name=night")[0] == 0
    check_whole(7)
    firsts = {one["number"]: one for one in results() if one["same_as"] is None}
    assert len(firsts) == 2
    for one in results():
        if one["same_as"] is not None:
            assert one["values"] == firsts[one["same_as"]]["values"]
    assert all((NIGHT / one["run"] / "began").read_text() == "x" for one in firsts.values())


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["grid", "tpe"])  # where all fit, each sampler is a grid
def test_a_grid_ends_after_its_combinations_and_says_so(bakeoff: Bakeoff, sampler: str) -> None:
    words = [
        *WORDS,
        "optim.lr=choice(0.1,0.01)",
        "optim.weight_decay=choice(0.0,0.1)",
        f"tune.sampler={sampler}",
    ]
    code, out, _ = bakeoff("tune", *words, "tune.trials=50", *QUIET)
    assert code == 0
    check_whole(4)
    tried = {tuple(one["params"].values()) for one in results()}
    assert tried == {(0.1, 0.0), (0.1, 0.1), (0.01, 0.0), (0.01, 0.1)}
    assert "4 combinations; its study ends after them" in out


@pytest.mark.slow
def test_each_model_has_the_same_budget(bakeoff: Bakeoff) -> None:
    words = [word for word in WORDS if not word.startswith("model")]
    assert bakeoff("tune", *words, "model=cnn_small,cnn", RATE, "tune.trials=3", *QUIET)[0] == 0
    told = [(one["study"], one["number"]) for one in results()]
    assert sorted(told) == [(name, number) for name in ("cnn", "cnn_small") for number in range(3)]
    began = [job["model"] for job in json.loads((NIGHT / "sweep.json").read_text())["jobs"]]
    assert began == ["cnn_small", "cnn"] * 3
    one = [word for word in (*WORDS, RATE, "tune.trials=2", *QUIET) if not word.startswith("model=")]
    before = results()
    code, _, error = bakeoff("tune", "model=cnn_small", *one)
    assert code == 2
    assert "give those models, too, or another sweep.name" in error
    assert results() == before


@pytest.mark.parametrize("pruner", ["median", pytest.param("hyperband", marks=pytest.mark.slow)])
def test_hopeless_trials_are_stopped_early(bakeoff: Bakeoff, pruner: str) -> None:
    words = [*WORDS, RATE, "tune.trials=14", f"tune.pruner={pruner}", "tune.sampler=random", *QUIET]
    code, _, _ = bakeoff("tune", *words)
    assert code == 0  # nothing went wrong
    check_whole(14)
    pruned = [one for one in results() if one["state"] == "pruned"]
    assert pruned
    assert all(one["values"] is None and 1 <= one["epochs"] < 8 for one in pruned) or pruner == "hyperband"
    status = json.loads((NIGHT / pruned[0]["run"] / "status.json").read_text())
    assert status["status"] == "pruned"
    assert status["error"].startswith(f"stopped early after epoch {pruned[0]['epochs']}: best val.accuracy ")
    assert not (NIGHT / pruned[0]["run"] / "checkpoints").exists()


@pytest.mark.slow
def test_with_the_median_the_first_five_are_never_stopped(bakeoff: Bakeoff) -> None:
    bakeoff("tune", *WORDS, RATE, "tune.trials=14", "tune.sampler=random", *QUIET)
    assert [one["state"] for one in results()][:5] == ["finished"] * 5


class DeafTrial(Trial):
    """It has finished before the signal came."""

    def send(self, number: signal.Signals) -> None:
        while self.poll() is None:
            pass


@pytest.mark.slow
def test_a_trial_that_finishes_meanwhile_has_finished(
    bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_here(monkeypatch, DeafTrial)
    assert bakeoff("tune", *WORDS, RATE, "tune.trials=14", "tune.sampler=random", *QUIET)[0] == 0
    assert {one["state"] for one in results()} == {"finished"}
    assert all(len(one["values"]) == 1 for one in results())


@pytest.mark.slow
def test_several_metrics(bakeoff: Bakeoff) -> None:
    words = [*WORDS, RATE, "tune.metric=[val.nll,latency]", "tune.trials=4", *QUIET]
    assert bakeoff("tune", *words)[0] == 0
    assert record()["directions"] == ["minimize", "minimize"]
    assert record()["pruner"] == "none"
    for one in results():
        assert one["values"][1] == pytest.approx(one["params"]["optim.lr"])


@pytest.mark.slow
def test_no_decision_reads_a_test_score(bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*WORDS, RATE, "tune.trials=8", "tune.confirm=1", "tune.confirm_seeds=1", JOURNAL]
    bakeoff("tune", *words)
    first = (decisions(), record()["best"])
    NIGHT.rename("first")
    monkeypatch.setattr(Trial, "test_score", 0.123)
    bakeoff("tune", *words)
    assert (decisions(), record()["best"]) == first


@pytest.mark.slow
def test_all_other_samplers_and_the_journal(bakeoff: Bakeoff) -> None:
    for sampler, storage in (("cmaes", "journal"), ("random", "journal")):
        words = [
            *WORDS[:2],
            f"sweep.name={sampler}",
            "trainer.epochs=1",
            RATE,
            "optim.weight_decay=interval(0.0,0.1)",
        ]
        words += ["tune.trials=6", f"tune.sampler={sampler}", f"tune.storage={storage}", *QUIET]
        assert bakeoff("tune", *words)[0] == 0
        folder = Path("outputs/sweeps") / sampler
        check_whole(6, folder)
        assert len({one["params"]["optim.lr"] for one in results(folder)}) == 6


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tune.metric=test.accuracy"], "error: tune.metric=test.accuracy: a search never looks at test images; write val.accuracy"),
        (["tune.metric=accuracy"], "error: tune.metric=accuracy: write val.accuracy; a search never looks at test images"),
        (["tune.metric=latencies"], "; did you mean latency?"),
        (["tune.metric=[val.nll,latency]", "tune.pruner=median"], "cannot stop trials early by several metrics"),
        (["tune.metric=latency", "tune.pruner=hyperband"], "by latency, which only a whole run has"),
        (["tune.sampler=grid"], "error: tune.sampler=grid: optim.lr is an interval; give its values"),
        (["tune.sampler=cmaes", "tune.metric=[val.nll,latency]"], "error: tune.sampler=cmaes: searches for one metric"),
        (["tune.storage=postgres"], "error: tune.storage=postgres: sqlite, journal, or the URL of a database server"),
        (["sweep.retry=diverged"], "error: sweep.retry=diverged: a trial that diverged is a result of the search"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_before_anything_is_made(bakeoff: Bakeoff, words: list[str], told: str) -> None:
    code, _, error = bakeoff("tune", *WORDS, RATE, *words)
    assert (code, error.count("\n")) == (2, 1)
    assert told in error
    assert not list(Path("outputs").rglob("tune.json"))
