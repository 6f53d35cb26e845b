"""`--metric` and `--seconds-to`: what the histories of runs say."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.comparison.tables import SecondsTo
from bakeoff.runs.storage import write_json

ACCURACIES = {0: [0.5, 0.92, 0.9], 1: [0.6, 0.7, 0.94], 2: [0.4, 0.5, 0.8]}


def write_history(path: Path, accuracies: list[float], seconds: float = 2.0) -> None:
    lines = [
        {
            "epoch": epoch, "step": 10 * epoch, "lr": 0.1 / epoch, "train_loss": 3.0 - epoch, "train_seconds": seconds,
            "val": {"accuracy": accuracy, "macro_f1": accuracy, "nll": 1 - accuracy},
        }
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]  # fmt: skip
    (path / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, accuracies in ACCURACIES.items():
        make_run(tmp_path / "r" / str(seed), seed, "a")
        write_history(tmp_path / "r" / str(seed), accuracies)
    return tmp_path / "r"


def row_of(bakeoff: Bakeoff, root: Path, *options: str) -> dict[str, Any]:
    code, out, _ = bakeoff("compare", str(root), "--format", "json", *options)
    assert code == 0
    (row,) = json.loads(out)["tables"][0]["settings"]
    return dict(row)


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("best(val.accuracy)", [0.92, 0.94, 0.8]),
        ("max(val.accuracy)", [0.92, 0.94, 0.8]),
        ("last(val.accuracy)", [0.9, 0.94, 0.8]),
        ("min(val.accuracy)", [0.5, 0.6, 0.4]),
        ("best(val.nll)", [0.08, 0.06, 0.2]),
        ("max( val.nll )", [0.5, 0.4, 0.6]),
        ("best(train_loss)", [0.0, 0.0, 0.0]),
        ("max(lr)", [0.1, 0.1, 0.1]),
    ],
)
def test_figures_of_the_history(bakeoff: Bakeoff, root: Path, metric: str, values: list[float]) -> None:
    found = row_of(bakeoff, root, "--metric", metric)["metrics"][metric.replace(" ", "")]
    mean = sum(values) / 3
    assert found["mean"] == pytest.approx(mean)
    assert found["std"] == pytest.approx((sum((value - mean) ** 2 for value in values) / 2) ** 0.5)
    out = bakeoff("compare", str(root), "--metric", metric, "--no-statistics")[1]
    assert metric.replace(" ", "") in out


def test_several_figures_and_a_sort_by_one(bakeoff: Bakeoff, root: Path) -> None:
    make_run(root / "other", 0, "b", model="vit")
    write_history(root / "other", [0.99])
    options = ["--metric", "best(val.accuracy)", "--metric", "last(lr)", "--sort", "best(val.accuracy)"]
    out = json.loads(bakeoff("compare", str(root), "--format", "json", *options)[1])
    rows = out["tables"][0]["settings"]
    assert [row["name"] for row in rows] == ["vit", "cnn"]
    assert {"best(val.accuracy)", "last(lr)"} <= set(rows[0]["metrics"])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("val.accuracy", "write best, last, min or max of a metric"),
        ("mean(val.accuracy)", "write best, last, min or max of a metric"),
        ("best(val.acuracy)", "val.acuracy: no such metric; did you mean val.accuracy?"),
        ("best(test.accuracy)", "test.accuracy: no such metric"),
    ],
)
def test_other_figures_are_refused(bakeoff: Bakeoff, root: Path, metric: str, message: str) -> None:
    code, _, error = bakeoff("compare", str(root), "--metric", metric)
    assert code == 2
    assert message in error


@pytest.mark.parametrize(
    ("goal", "reached", "median", "shown"),
    [
        ("0.5", [2.0, 2.0, 4.0], 2.0, "2.0"),
        ("0.9", [4.0, 6.0], 6.0, "6.0 (2 of 3)"),
        ("0.93", [6.0], None, "> 6.0 (1 of 3)"),
        ("0.99", [], None, "> 6.0 (0 of 3)"),
    ],
)
def test_seconds_to_an_accuracy(
    bakeoff: Bakeoff, root: Path, goal: str, reached: list[float], median: float | None, shown: str
) -> None:
    """Two seconds an epoch. Runs that never got there count as longest."""
    found = row_of(bakeoff, root, "--seconds-to", goal)["seconds_to"]
    assert found == {
        "accuracy": float(goal), "reached": reached, "missed": [6.0] * (3 - len(reached)), "median": median
    }  # fmt: skip
    out = bakeoff("compare", str(root), "--seconds-to", goal, "--columns", "n")[1]
    row = next(line for line in out.splitlines() if line.startswith("cnn"))
    assert row.split(maxsplit=2)[2] == shown
    assert f"s to val {float(goal):g}" in out


@pytest.mark.parametrize(
    ("reached", "missed", "median"),
    [
        ((4.0, 2.0), (), 3.0),
        ((2.0,), (6.0,), None),
        ((6.0, 2.0, 4.0), (1.0,), 5.0),
        ((6.0, 2.0, 4.0), (), 4.0),
        ((2.0, 4.0), (6.0, 6.0), None),
    ],
)
def test_of_two_middle_runs_the_mean_counts_if_both_reached_it(
    reached: tuple[float, ...], missed: tuple[float, ...], median: float | None
) -> None:
    assert SecondsTo(0.9, reached, missed).median == median


@pytest.mark.parametrize("goal", ["0", "1.5", "-1", "98", "x"])
def test_a_goal_is_a_share(bakeoff: Bakeoff, root: Path, goal: str) -> None:
    assert bakeoff("compare", str(root), f"--seconds-to={goal}")[0] == 2


def test_an_incomplete_last_line_is_dropped(bakeoff: Bakeoff, root: Path) -> None:
    with open(root / "0" / "epochs.jsonl", "a") as file:
        file.write('{"epoch": 4, "val": {"accuracy": 0.9')
    assert row_of(bakeoff, root, "--metric", "last(epoch)")["metrics"]["last(epoch)"]["mean"] == 3


@pytest.mark.parametrize(
    "content",
    ["", "{\n", '{"epoch": 1}\nnot json\n{"epoch": 3}\n', "[" * 100_000 + "\n", '{"a":' * 3_000 + "1" + "}" * 3_000 + "\n",
     '{"epoch": NaN}\n', '{"epoch": "1"}\n', '{"epoch": true}\n', "[1]\n", "null\n"],
)  # fmt: skip
def test_a_damaged_history_is_unknown(bakeoff: Bakeoff, root: Path, content: str) -> None:
    for seed in ACCURACIES:
        (root / str(seed) / "epochs.jsonl").write_text(content)
    row = row_of(bakeoff, root, "--metric", "last(epoch)", "--seconds-to", "0.9")
    assert row["metrics"]["last(epoch)"] is None
    assert "unknown" in bakeoff("compare", str(root), "--metric", "last(epoch)")[1]


def test_figures_whose_sum_is_no_number_are_unknown(bakeoff: Bakeoff, root: Path) -> None:
    """No run's file ends a comparison, whatever it claims."""
    for seed in ACCURACIES:
        write_history(root / str(seed), [0.9], seconds=1.7e308)
        path = root / str(seed) / "summary.json"
        summary = json.loads(path.read_text())
        summary["time"]["train_seconds"] = 1.7e308
        write_json(path, summary)
    row = row_of(bakeoff, root, "--metric", "last(train_seconds)", "--seconds-to", "0.9")
    assert row["metrics"]["last(train_seconds)"] is None
    assert row["metrics"]["train_seconds"] is None
    assert row["seconds_to"]["median"] == 0


def test_a_run_without_a_history_leaves_the_others(bakeoff: Bakeoff, root: Path) -> None:
    (root / "2" / "epochs.jsonl").unlink(missing_ok=True)
    row = row_of(bakeoff, root, "--metric", "best(val.accuracy)", "--seconds-to", "0.9")
    assert row["metrics"]["best(val.accuracy)"]["mean"] == pytest.approx(0.93)
    assert row["seconds_to"]["reached"] == [4.0, 6.0]
    assert row["seconds_to"]["missed"] == []


@pytest.fixture
def good_and_bad(tmp_path: Path) -> Path:
    """Two settings on one machine, one after another; every figure of `good` is better, but it stands second."""
    for hour, (name, accuracy, loss, seconds) in enumerate([("bad", 0.2, 2.0, 8.0), ("good", 0.6, 1.0, 2.0)]):
        run = tmp_path / "r" / name
        make_run(run, 0, name, model=name, error_rate=0.1 if name == "bad" else 0.5)
        write_json(
            run / "environment.json",
            {"host": "one", "device_name": "chip", "started": f"2026-01-01T0{hour}:00:00+00:00"},
        )
        epochs = [
            {
                "epoch": epoch, "train_loss": loss / epoch, "train_seconds": seconds + epoch, "eval_seconds": seconds,
                "train_images_per_second": 100 / seconds, "lr": loss,
                "val": {"accuracy": accuracy, "macro_f1": accuracy + epoch / 100, "nll": loss - epoch / 100},
            }
            for epoch in (1, 2)
        ]  # fmt: skip
        (run / "epochs.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    return tmp_path / "r"


def sorted_by(bakeoff: Bakeoff, root: Path, metric: str, direction: str = "") -> list[str]:
    options = ["--metric", metric, "--sort", metric + direction, "--format", "json"]
    code, out, error = bakeoff("compare", str(root), *options)
    assert code == 0, error
    return [row["name"] for row in json.loads(out)["tables"][0]["settings"]]


@pytest.mark.parametrize("reduction", ["best", "last", "min", "max"])
@pytest.mark.parametrize(
    "figure",
    [
        "val.accuracy", "val.macro_f1", "val.nll", "train_loss", "train_seconds", "eval_seconds",
        "train_images_per_second",
    ],
)  # fmt: skip
def test_a_history_is_sorted_by_the_figures_own_direction(
    bakeoff: Bakeoff, good_and_bad: Path, reduction: str, figure: str
) -> None:
    assert sorted_by(bakeoff, good_and_bad, f"{reduction}({figure})") == ["good", "bad"]


def test_a_figure_that_is_neither_good_nor_bad_rises_and_a_direction_wins(
    bakeoff: Bakeoff, good_and_bad: Path
) -> None:
    assert sorted_by(bakeoff, good_and_bad, "last(lr)") == ["good", "bad"]
    assert sorted_by(bakeoff, good_and_bad, "last(lr)", ":desc") == ["bad", "good"]
    assert sorted_by(bakeoff, good_and_bad, "best(val.macro_f1)", ":asc") == ["bad", "good"]
    assert sorted_by(bakeoff, good_and_bad, "best(val.nll)", ":desc") == ["bad", "good"]


@pytest.mark.parametrize("figure", ["train_seconds", "eval_seconds", "train_images_per_second"])
@pytest.mark.parametrize("reduction", ["best", "last"])
def test_times_of_histories_of_different_machines_are_not_ranked(
    bakeoff: Bakeoff, good_and_bad: Path, reduction: str, figure: str
) -> None:
    started = "2026-01-01T09:00:00+00:00"
    write_json(
        good_and_bad / "bad" / "environment.json", {"host": "two", "device_name": "chip", "started": started}
    )
    metric = f"{reduction}({figure})"
    code, out, error = bakeoff("compare", str(good_and_bad), "--metric", metric, "--sort", metric)
    assert (code, out) == (2, "")
    assert f"--sort {metric}: times are not ranked: the runs come from 2 machines" in error
    assert metric in bakeoff("compare", str(good_and_bad), "--metric", metric)[1]
    assert sorted_by(bakeoff, good_and_bad, "last(train_loss)") == ["good", "bad"]
