"""The sentences above a report follow from the verdict of its table."""

from pathlib import Path

from reported_runs import guessed_run, make_models, table_of

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.run import Problem
from bakeoff.comparison.view import View
from bakeoff.report.headline import headline
from bakeoff.runs.locate import find_run_dirs


def test_a_clear_winner(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"good": 0.02, "bad": 0.5}, count=400))
    said = headline(table, [])
    accuracy = table.settings[0].metrics["accuracy"]
    assert accuracy is not None
    assert said.winner.startswith(f"good is the most accurate: {accuracy.mean * 100:.2f} % (95 % interval: ")
    assert said.winner.endswith("Every other row is proven to be worse.")
    assert said.compared.startswith(
        "2 configurations, 3 seeds each, tested on the same 400 images of toy in 5 "
    )
    (step,) = said.next_steps
    assert step.startswith("Every tested difference is proven.")


def test_no_winner_says_what_is_missing(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"one": 0.2, "two": 0.2}))
    said = headline(table, [])
    assert said.winner.startswith("No winner: ")
    (pair,) = [pair for pair in table.pairs if pair.metric == "accuracy"]
    assert not pair.differs
    assert pair.smallest_detectable_difference is not None
    assert (
        f"of about {pair.smallest_detectable_difference * 100:.2g} points is found in 80 of 100"
        in said.unseen
    )
    assert said.next_steps[0].startswith("1 pair without a proven difference: ")


def test_some_are_worse_and_some_are_not(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"one": 0.1, "two": 0.11, "bad": 0.6}, count=400))
    said = headline(table, [])
    best, equal = [row.label for row in table.settings][:2]
    assert said.winner.startswith(f"{best} has the highest mean accuracy")
    assert said.winner.endswith(f"Not proven to be worse: {equal}. All others are proven to be worse.")
    (undecided,) = [pair for pair in table.pairs if pair.metric == "accuracy" and not pair.differs]
    assert undecided.smallest_detectable_difference is not None
    smallest = undecided.smallest_detectable_difference * 100
    assert said.unseen.startswith(
        f"A difference of about {smallest:.2g} points is found"
    )  # not of proven ones


def test_one_run_alone(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"one": 0.2}, seeds=1))
    said = headline(table, [])
    assert said.winner.startswith("one is right about ")
    assert said.unseen == "One configuration alone says nothing about others."
    assert said.compared.startswith("1 configuration, 1 seed, tested on the 200 images")
    assert "Train 3 seeds or more of one: seed=0,1,2 with --multirun." in said.next_steps


def test_what_comes_next_without_a_test(tmp_path: Path) -> None:
    one = table_of(make_models(tmp_path, {"one": 0.2}))
    assert headline(one, []).next_steps == (
        "Train other configurations on the same data, to compare it with.",
    )


def test_stopped_and_failed_runs_come_first(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"good": 0.02, "bad": 0.5}, count=400))
    problems = [
        Problem(Path("a"), "interrupted", may_go_on=True),
        Problem(Path("b"), "failed: x"),
        Problem(Path("c"), "running", harmless=True),
    ]
    assert headline(table, problems).next_steps == (
        "1 run stopped before the end: bakeoff resume RUN goes on.",
        "1 run could not be used: see the reasons below, and train again.",
    )


def test_rows_that_say_the_same_of_every_image(tmp_path: Path) -> None:
    labels = [0, 1, 2] * 20
    for model in ("a", "b"):
        guessed_run(tmp_path, model, 0, labels, [0] * 60, [0.9] * 60)
    said = headline(table_of(tmp_path), [])
    assert said.winner.startswith("No winner: ")
    assert said.unseen
    assert any("more test images" in step for step in said.next_steps)


def test_against_a_baseline_nothing_else_is_said_to_be_tested(tmp_path: Path) -> None:
    make_models(tmp_path, {"good": 0.02, "middle": 0.3, "same": 0.3, "bad": 0.7}, count=400)
    runs, _ = read_runs(find_run_dirs(tmp_path))
    (table,) = compare_runs(runs, View(baseline="middle"), statistics=True)
    said = headline(table, [])
    assert said.winner.startswith("Against middle, ")
    assert said.winner.endswith(
        ": better: good; worse: bad; not proven to differ: same. Other pairs are not tested."
    )


def test_many_rows_without_a_baseline_say_how_to_test_them(tmp_path: Path) -> None:
    make_models(tmp_path, {f"m{number}": 0.2 for number in range(21)}, seeds=1, count=40)
    said = headline(table_of(tmp_path), [])
    assert said.winner.endswith("no difference was tested.")
    assert "Test the rows against one of them: --baseline NUMBER." in said.next_steps


def test_a_claim_that_no_predictions_confirm_heads_no_verdict(tmp_path: Path) -> None:
    make_models(tmp_path, {"good": 0.1, "bad": 0.6, "claimed": 0.01}, count=400)
    for seed in range(3):
        (tmp_path / f"claimed-{seed}" / "predictions.npz").unlink()
    said = headline(table_of(tmp_path), [])
    assert said.winner.startswith("good is the most accurate: ")
    assert said.winner.endswith("Every other row is proven to be worse. Not tested: claimed.")
