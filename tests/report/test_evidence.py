"""What stored predictions say beyond the scores: against scikit-learn, and by hand."""

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from reported_runs import guessed_run, make_models, table_of
from run_directories import make_run
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from bakeoff.evaluation.metrics import expected_calibration_error
from bakeoff.report.evidence import agreement, class_scores, evidence_of


def test_counts_recalls_and_f1_are_scikit_learns(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"good": 0.1, "bad": 0.4}))
    evidence = evidence_of(table)
    assert evidence is not None
    for row in evidence.rows:
        wanted = sum(
            confusion_matrix(evidence.labels, said, labels=[*range(5), -1])[:5] for said in row.guesses
        )
        assert np.array_equal(row.counts(range(5)), wanted)
        assert np.array_equal(row.totals(), [wanted.sum(axis=1), np.diagonal(wanted)])
        for one in row.classes:
            options = {"labels": [one.label], "average": "macro", "zero_division": 0}
            recalls = [recall_score(evidence.labels, said, **options) for said in row.guesses]
            scores = [f1_score(evidence.labels, said, **options) for said in row.guesses]
            assert one.recall == pytest.approx(np.mean(recalls), abs=1e-12)
            assert one.f1 == pytest.approx(np.mean(scores), abs=1e-12)
            assert one.num_images == 40
            for mean, interval in ((one.recall, one.recall_interval), (one.f1, one.f1_interval)):
                assert interval is not None
                assert 0 <= interval[0] <= mean <= interval[1] <= 1
                assert interval[1] - interval[0] > 0.02


def test_the_bins_give_the_ece_of_the_runs(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"one": 0.2}, seeds=1))
    (row,) = evidence_of(table).rows  # type: ignore[union-attr]
    gap = np.abs(row.bins.num_right - row.bins.confidence).sum() / row.bins.num_images.sum()
    assert gap == pytest.approx(table.settings[0].members[0].summary["test"]["ece"], abs=1e-9)
    assert row.bins.num_images.sum() == len(row.labels)
    assert gap != expected_calibration_error(row.labels.astype(int), np.eye(5)[row.labels])


def test_images_are_in_the_order_of_the_split_whatever_the_file_says(tmp_path: Path) -> None:
    """Guesses come from the comparison, confidences from the file: both must be of the same image."""
    make_models(tmp_path, {"one": 0.2}, seeds=1)
    path = tmp_path / "one-0" / "predictions.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    before = evidence_of(table_of(tmp_path))
    turned = np.random.RandomState(1).permutation(len(arrays["index"]))
    np.savez(path, **{name: values[turned] for name, values in arrays.items()})
    after = evidence_of(table_of(tmp_path))
    assert before is not None
    assert after is not None
    assert np.array_equal(before.rows[0].guesses, after.rows[0].guesses)
    assert np.array_equal(before.rows[0].confidence, after.rows[0].confidence)


def test_most_runs_decide_and_no_prediction_wins_no_tie(tmp_path: Path) -> None:
    guesses = [[0, 1, 2, -1], [0, 2, 2, 1], [1, 1, -1, -1]]
    for seed, said in enumerate(guesses):
        guessed_run(tmp_path, "m", seed, [0, 1, 2, 0], said, [0.9] * 4)
    (row,) = evidence_of(table_of(tmp_path)).rows  # type: ignore[union-attr]
    assert row.majority.tolist() == [0, 1, 2, -1]
    assert row.share_right.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])
    guessed_run(tmp_path / "two", "m", 0, [0, 1, 2, 0], [-1, 1, 2, 0], [0.9] * 4)
    guessed_run(tmp_path / "two", "m", 1, [0, 1, 2, 0], [2, 0, 2, 0], [0.9] * 4)
    (tied,) = evidence_of(table_of(tmp_path / "two")).rows  # type: ignore[union-attr]
    assert tied.majority.tolist() == [2, 0, 2, 0]


def test_agreement_is_a_mean_over_pairs_of_runs(tmp_path: Path) -> None:
    labels = [0, 1, 2, 0]
    for model, seed, said in (("a", 0, [0, 1, 2, 0]), ("a", 1, [0, 1, 2, 1]), ("b", 0, [0, 1, 1, 1])):
        guessed_run(tmp_path, model, seed, labels, said, [0.9] * 4)
    evidence = evidence_of(table_of(tmp_path))
    assert evidence is not None
    assert [row.row.model for row in evidence.rows] == ["a", "b"]
    shares = agreement(evidence.rows)
    assert shares[0, 0] == 0.75  # its two seeds
    assert shares[0, 1] == shares[1, 0] == (0.5 + 0.75) / 2
    assert np.isnan(shares[1, 1])  # one seed has nothing to agree with


def test_a_class_without_images_has_no_scores() -> None:
    labels = np.array([0, 0, 2, 2], dtype=np.int16)
    scores = class_scores(labels, np.array([[0, 1, 2, 2]], dtype=np.int16), 4)
    assert [(one.label, one.recall) for one in scores] == [(0, 0.5), (2, 1.0)]
    assert scores[0].f1 == pytest.approx(2 / 3)


def test_predictions_that_change_in_between_leave_their_row_out(tmp_path: Path) -> None:
    make_models(tmp_path, {"good": 0.1, "bad": 0.4}, seeds=1)
    table = table_of(tmp_path)
    path = tmp_path / "bad-0" / "predictions.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **(arrays | {"label": np.roll(arrays["label"], 1)}))
    evidence = evidence_of(table)
    assert evidence is not None
    assert [row.row.model for row in evidence.rows] == ["good"]
    (tmp_path / "good-0" / "predictions.npz").unlink()
    assert evidence_of(table) is None


def test_thousands_of_classes_take_no_square_of_memory(tmp_path: Path) -> None:
    """A matrix of all classes by all would be 2 GB for each row, of which a figure shows 40 lines."""
    labels = np.arange(200)
    rows = np.zeros((200, 200), dtype=np.float32)
    rows[labels, labels // 2] = 0.9
    for model in ("one", "two"):
        make_run(tmp_path / model, 0, model, model=model, stored=(labels, rows))
    evidence = evidence_of(table_of(tmp_path))
    assert evidence is not None
    wide = dataclasses.replace(evidence.rows[0], num_classes=16_000)
    tracemalloc.start()
    assert wide.counts([4, 5])[0].nonzero()[0].tolist() == [2]
    assert wide.totals()[1].sum() == 1
    assert wide.majority.tolist() == (labels // 2).tolist()
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()
