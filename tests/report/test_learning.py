"""Points of learning curves, computed by hand."""

import itertools
import json
import math
from pathlib import Path

import pytest
from reported_runs import make_models, table_of, write_epochs

from bakeoff.comparison.history import read_history
from bakeoff.report.learning import learning_points, points_of


def test_means_ranges_images_and_seconds(tmp_path: Path) -> None:
    for name, accuracies in (("a", [0.5, 0.7]), ("b", [0.6, 0.9])):
        (tmp_path / name).mkdir()
        write_epochs(tmp_path / name, accuracies, seconds=2.0 if name == "a" else 4.0)
    found = list(points_of(3, [read_history(tmp_path / name) for name in "ab"]))
    last = next(point for point in found if point.score == "val.accuracy" and point.epoch == 2)
    assert (last.number, last.num_runs, last.low, last.high) == (3, 2, 0.7, 0.9)
    assert last.mean == pytest.approx(0.8)
    assert last.seconds == (2 * 2.0 + 2 * 4.0) / 2
    assert last.images == (200 + 400) / 2
    assert {point.score for point in found} == {"val.accuracy", "val.nll", "train_loss"}


def test_a_run_that_stopped_earlier_leaves_the_mean_of_the_others(tmp_path: Path) -> None:
    for name, accuracies in (("a", [0.5]), ("b", [0.6, 0.9])):
        (tmp_path / name).mkdir()
        write_epochs(tmp_path / name, accuracies)
    found = [
        p for p in points_of(1, [read_history(tmp_path / name) for name in "ab"]) if p.score == "val.accuracy"
    ]
    assert [(point.epoch, point.num_runs, point.mean) for point in found] == [(1, 2, 0.55), (2, 1, 0.9)]


def test_what_a_stranger_may_write(tmp_path: Path) -> None:
    """Numbers that are none, or no numbers at all, make no point; what follows an unknown time has none."""
    lines = [
        {"epoch": 1, "train_loss": "high", "val": {"accuracy": True, "nll": 1e308}, "train_seconds": None},
        {"epoch": 2, "train_loss": 0.5, "val": None, "train_seconds": 3.0, "train_images_per_second": 10.0},
        {"epoch": "3", "train_loss": 0.4},
        {"epoch": 10**9, "train_loss": 0.4},
        {"epoch": -1, "train_loss": 0.4},
    ]
    (tmp_path / "epochs.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (point,) = points_of(1, [read_history(tmp_path)])
    assert (point.epoch, point.score, point.mean) == (2, "train_loss", 0.5)
    assert point.seconds is None
    assert point.images is None
    assert math.isfinite(point.low)


def test_every_row_of_a_table_has_its_points(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"good": 0.1, "bad": 0.4}))
    found = learning_points(table)
    assert {point.number for point in found} == {row.number for row in table.settings}
    assert len(found) == 2 * 2 * 3  # rows, epochs, scores
    assert all(point.num_runs == 3 for point in found)


def test_of_very_many_epochs_some_are_shown_with_both_ends(tmp_path: Path) -> None:
    """A hundred thousand epochs made a page of 24 MB, and a drawing has a few hundred pixels."""
    histories = [[{"epoch": epoch, "train_loss": 1 / epoch} for epoch in range(1, 3001)]]
    epochs = [point.epoch for point in points_of(1, histories)]
    assert (len(epochs), epochs[0], epochs[-1]) == (400, 1, 3000)
    assert {later - epoch for epoch, later in itertools.pairwise(epochs)} == {7, 8}
    assert len(list(points_of(1, histories, room=3))) == 50
    assert [point.epoch for point in points_of(1, [histories[0][:7]], room=3)] == list(range(1, 8))
