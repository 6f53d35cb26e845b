"""Scores against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from bakeoff import metrics


def one_hot(guesses: list[int], num_classes: int, confidence: float = 1.0) -> np.ndarray:
    rows = np.zeros((len(guesses), num_classes), dtype=np.float32)
    for row, guess in zip(rows, guesses, strict=True):
        if guess >= 0:
            row[guess] = confidence
    return rows


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(2, 6).flatmap(lambda c: st.tuples(
    st.just(c), st.lists(st.tuples(st.integers(0, c - 1), st.integers(-1, c - 1)), min_size=1, max_size=40)
)))  # fmt: skip
def test_scores_are_scikit_learns(case: tuple[int, list[tuple[int, int]]]) -> None:
    num_classes, pairs = case
    labels = np.array([label for label, _ in pairs])
    guesses = np.array([guess for _, guess in pairs])
    scores = metrics.score(
        labels, one_hot(guesses.tolist(), num_classes), [str(c) for c in range(num_classes)]
    )
    options = {"labels": list(range(num_classes)), "zero_division": 0}
    assert scores.accuracy == pytest.approx(accuracy_score(labels, guesses))
    assert scores.macro_f1 == pytest.approx(f1_score(labels, guesses, average="macro", **options))
    precision, recall, f1, support = precision_recall_fscore_support(labels, guesses, **options)
    for c, found in enumerate(scores.per_class):
        assert (found.label, found.support) == (str(c), support[c])
        assert (found.precision, found.recall, found.f1) == pytest.approx((precision[c], recall[c], f1[c]))
    assert scores.num_no_answer == (guesses == -1).sum()
    counts = metrics.confusion(labels, guesses, num_classes)
    shifted = np.where(guesses == -1, num_classes, guesses)
    expected = confusion_matrix(labels, shifted, labels=range(num_classes + 1))[:-1]
    assert np.array_equal(counts, expected)


def test_no_answer_is_never_class_zero() -> None:
    rows = np.zeros((3, 2), dtype=np.float32)
    assert metrics.answers(rows).tolist() == [-1, -1, -1]
    scores = metrics.score(np.array([0, 0, 1]), rows, ["a", "b"])
    assert (scores.accuracy, scores.macro_f1, scores.num_no_answer) == (0.0, 0.0, 3)
    assert scores.nll == pytest.approx(-math.log(1e-6))
    assert metrics.confusion(np.array([0, 0, 1]), metrics.answers(rows), 2).tolist() == [[0, 0, 2], [0, 0, 1]]


def test_ties_go_to_the_first_class() -> None:
    assert metrics.answers(np.array([[0.25, 0.25, 0.5, 0.5]])).tolist() == [2]


def test_nll_by_hand_with_its_floor() -> None:
    rows = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    expected = -(math.log(0.5) + math.log(0.9) + math.log(1e-6)) / 3
    assert metrics.nll(np.array([0, 0, 1]), rows) == pytest.approx(expected)


def reference_ece(labels: np.ndarray, rows: np.ndarray) -> float:
    total = 0.0
    for k in range(15):
        inside = [
            i
            for i, row in enumerate(rows)
            if (k / 15 < max(row) <= (k + 1) / 15) or (k == 0 and max(row) == 0)
        ]
        if inside:
            confidence = sum(float(max(rows[i])) for i in inside)
            right = sum(max(rows[i]) > 0 and int(np.argmax(rows[i])) == labels[i] for i in inside)
            total += abs(right - confidence)
    return total / len(labels)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), min_size=1, max_size=50))
def test_ece_is_the_definition(cases: list[tuple[int, float]]) -> None:
    labels = np.array([label for label, _ in cases])
    rows = np.array([[p, (1 - p) / 2, (1 - p) / 2] for _, p in cases])
    rows[::7] = 0
    assert metrics.expected_calibration_error(labels, rows) == pytest.approx(
        reference_ece(labels, rows), abs=1e-12
    )


@pytest.mark.parametrize("k", range(1, 16))
def test_an_edge_belongs_to_the_bin_below(k: int) -> None:
    # Two images at the edge and just above it: in one bin they would partly cancel.
    rows = np.array([[k / 15, 0.0], [min(1.0, k / 15 + 1e-3), 0.0]])
    found = metrics.expected_calibration_error(np.array([0, 1]), rows)
    gaps = (1 - k / 15, -min(1.0, k / 15 + 1e-3))
    expected = abs(sum(gaps)) if k == 15 else abs(gaps[0]) + abs(gaps[1])
    assert found == pytest.approx(expected / 2)
