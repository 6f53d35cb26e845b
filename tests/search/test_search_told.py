"""What a search says: each trial, its end, the confirmation; and which configurations are confirmed."""

import json
from pathlib import Path
from typing import Any

import pytest

from bakeoff.config.search_space import Interval, Space
from bakeoff.config.studies import StudyPlan
from bakeoff.runs.states import RunState
from bakeoff.sweeps.search.confirm import confirmed, to_confirm
from bakeoff.sweeps.search.told import (
    BAD,
    GOOD,
    confirmed_lines,
    end_lines,
    result_line,
    scored,
    shown,
    trial_line,
)
from bakeoff.sweeps.search.trial import Trial

ACCURACY = ["val.accuracy"]
PLAN = StudyPlan("vit", "model=vit", ("model=vit",), Space({"optim.lr": Interval(0.1, 0.2, False, False)}))


def _trial(number: int, *values: float, study: str = "vit", **changes: Any) -> Trial:
    fields = {
        "study": study, "number": number, "run": f"run-{number}", "state": "finished" if values else "pruned",
        "params": {"optim.lr": number / 1000}, "values": values or None, "epochs": 10, "same_as": None,
    }  # fmt: skip
    return Trial(**(fields | changes))


def test_the_best_are_confirmed_the_best_first() -> None:
    trials = [_trial(0, 0.9), _trial(1, 0.97), _trial(2), _trial(3, 0.98), _trial(4, 0.97)]
    assert [trial.number for trial in to_confirm(trials, ["maximize"], 3)] == [3, 1, 4]
    assert [trial.number for trial in to_confirm(trials, ["minimize"], 2)] == [0, 1]
    assert to_confirm(trials, ["maximize"], 0) == []


def test_no_configuration_is_confirmed_twice() -> None:
    trials = [
        _trial(0, 0.9),
        _trial(1, 0.97),
        _trial(2, 0.97, same_as=1),
        _trial(3, 0.96, params={"optim.lr": 0.001}),
    ]
    assert [trial.number for trial in to_confirm(trials, ["maximize"], 3)] == [1, 0]


def test_of_several_metrics_those_are_confirmed_that_none_beats() -> None:
    trials = [_trial(0, 0.9, 2.0), _trial(1, 0.95, 2.0), _trial(2, 0.97, 3.0), _trial(3, 0.96, 3.0)]
    assert [trial.number for trial in to_confirm(trials, ["maximize", "minimize"], 5)] == [2, 1]


def _write(folder: Path, name: str, accuracy: float) -> str:
    run = folder / name
    run.mkdir()
    values = {"setting": "5e771", "val": {"accuracy": accuracy}, "test": {"accuracy": 0.123}}
    (run / "summary.json").write_text(json.dumps(values))
    return name


def test_the_confirmation_is_the_mean_with_an_interval_by_students_t(tmp_path: Path) -> None:
    runs = [_write(tmp_path, f"s{seed}", value) for seed, value in enumerate((0.97, 0.98, 0.96))]
    best, second = _trial(7, 0.99), _trial(3, 0.98)
    first, other = confirmed(tmp_path, [best, second], {("vit", 7): runs, ("vit", 3): []}, ACCURACY)
    # t(0.975, 2) = 4.302653; the standard deviation is 0.01
    half = 4.302653 * 0.01 / 3**0.5
    assert first["mean"] == pytest.approx(0.97)
    assert (first["low"], first["high"]) == pytest.approx((0.97 - half, 0.97 + half), abs=1e-6)
    assert {key: first[key] for key in ("study", "rank", "number", "setting", "runs", "search")} == {
        "study": "vit", "rank": 1, "number": 7, "setting": "5e771", "runs": runs, "search": 0.99,
    }  # fmt: skip
    assert (other["rank"], other["mean"], other["low"], other["runs"], other["setting"]) == (
        2,
        None,
        None,
        [],
        None,
    )
    lines = [text for text, _ in confirmed_lines([first, other], [best, second], "val.accuracy")]
    assert lines == [
        "vit: its best configurations with new seeds (validation accuracy)",
        "  trial 7: search 99.00 %, 3 new seeds 97.00 % [94.52, 99.48]",
        "  trial 3: search 98.00 %, none of its new runs has finished",
        "  the best of 2 trials did 2.00 points worse with new seeds; too few seeds to say how much of that was luck",
    ]
    surely = dict(first, low=0.96, high=0.98)
    assert [text for text, _ in confirmed_lines([surely], [best, second], "val.accuracy")][-1] == (
        "  the best of 2 trials was lucky: its score in the search was 2.00 points too good"
    )
    assert (
        result_line(best, [first, other], ACCURACY) == "validation accuracy: " + lines[1].partition(": ")[2]
    )
    assert result_line(second, [first, other], ACCURACY).endswith("98.00 %, a chosen score")


def test_an_interval_of_shares_ends_at_all(tmp_path: Path) -> None:
    runs = [_write(tmp_path, f"s{seed}", value) for seed, value in enumerate((0.9, 1.0))]
    (row,) = confirmed(tmp_path, [_trial(7, 0.9)], {("vit", 7): runs}, ACCURACY)
    assert (row["low"], row["high"]) == (pytest.approx(0.95 - 12.7062 * 0.05, abs=1e-4), 1.0)
    (_, _, luck) = [text for text, _ in confirmed_lines([row], [_trial(7, 0.9)], "val.accuracy")]
    assert luck == "  the best of 1 trial has kept its score with new seeds"
    (row,) = confirmed(tmp_path, [_trial(7, 0.9)], {("vit", 7): runs[:1]}, ACCURACY)
    assert (row["mean"], row["low"], row["high"]) == (0.9, None, None)


def test_a_loss_is_lucky_where_it_is_too_small() -> None:
    row = {
        "study": "vit",
        "rank": 1,
        "number": 0,
        "runs": ["a"],
        "search": 0.08,
        "mean": 0.09,
        "low": 0.085,
        "high": 0.095,
    }
    lines = [text for text, _ in confirmed_lines([row], [_trial(0, 0.08)], "val.nll")]
    assert lines[1:] == [
        "  trial 0: search 0.0800, 1 new seed 0.0900 [0.0850, 0.0950]",
        "  the best of 1 trial was lucky: its score in the search was 0.0100 too good",
    ]


@pytest.mark.parametrize(
    ("trial", "state", "text", "style"),
    [
        (_trial(2, 0.98), RunState("finished"), "[3/50] trial 2: 98.00 %, the best so far; lr=0.002", GOOD),
        (_trial(2, 0.97), RunState("finished"), "[3/50] trial 2: 97.00 %; lr=0.002", ""),
        (_trial(2, epochs=3), RunState("pruned"), "[3/50] trial 2: stopped early after 3 epochs; lr=0.002", "dim"),
        (_trial(2, epochs=3), RunState("pruned", "below the median"), "[3/50] trial 2: below the median; lr=0.002", "dim"),
        (_trial(2, state="failed"), RunState("diverged", "loss\nnan"), "[3/50] trial 2: diverged: loss nan; lr=0.002", BAD),
        (_trial(2, 0.97, same_as=1), RunState("finished"), "[3/50] trial 2: 97.00 % (the values of trial 1); lr=0.002", ""),
    ],
)  # fmt: skip
def test_a_trial_is_one_line(trial: Trial, state: RunState, text: str, style: str) -> None:
    trials = [_trial(0, 0.9), _trial(1, 0.97), trial, _trial(3, state="running")]
    assert trial_line(trial, trials, 50, ACCURACY, state) == (text, style)


def test_the_best_so_far_is_that_of_its_study_and_by_the_metrics_direction() -> None:
    trials = [_trial(0, 0.9, study="cnn"), _trial(0, 0.3), _trial(1, 0.2)]
    text, style = trial_line(trials[2], trials, 4, ["val.nll"], RunState("finished"), several=True)
    assert (text, style) == ("[3/4] vit trial 1: 0.2000, the best so far; lr=0.001", GOOD)
    assert trial_line(trials[1], trials, 4, ["val.nll"], RunState("finished"))[1] == ""
    several = [_trial(0, 0.9, 2.5)]
    text, _ = trial_line(several[0], several, 4, ["val.accuracy", "latency"], RunState("finished"))
    assert text == "[1/4] trial 0: val.accuracy 90.00 %, latency 2.50 ms; lr=0"


def test_the_end_says_what_came_of_the_trials_and_what_pruning_has_saved() -> None:
    trials = [_trial(0, 0.9), _trial(1, 0.97), _trial(2, epochs=4), _trial(3, state="failed", epochs=1)]
    trials.append(_trial(4, epochs=4, same_as=2))
    lines = end_lines(trials, [PLAN, StudyPlan("cnn", None, (), PLAN.space)], ACCURACY)
    assert lines == [
        ("vit: 5 trials, 2 finished, 2 stopped early, 1 failed; that saved 6 of 31 epochs (19 %)", "bold"),
        ("  best: trial 1, 97.00 %; lr=0.001", ""),
        ("cnn: 0 trials, 0 finished", "bold"),
        ("  no trial has finished; bakeoff show says why", BAD),
    ]


def test_values_are_short_and_texts_harmless() -> None:
    params = {
        "optim.lr": 0.00123456,
        "model.depth": 4,
        "model.a.name": "x\x1b[31m",
        "data.name": None,
        "e": [8, 16],
    }
    assert shown(params) == "lr=0.0012 depth=4 model.a.name='x\\x1b[31m' data.name=null e=[8,16]"
    assert (scored("parameters", 306634), scored("val.macro_f1", 0.5)) == ("306,634", "50.00 %")
