"""Scores against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from bakeoff.evaluation import metrics


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


# Whole rows of probabilities, as the program stores them.


@st.composite
def stored_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 and rows float32: absent classes, one image, constant predictors, rows of zeros."""
    num_classes, count = draw(st.integers(2, 7)), draw(st.integers(1, 30))
    labels = draw(st.lists(st.integers(0, num_classes - 1), min_size=count, max_size=count))
    weights = draw(
        st.lists(
            st.lists(st.integers(0, 20), min_size=num_classes, max_size=num_classes),
            min_size=count,
            max_size=count,
        )
    )
    rows = np.array(weights, dtype=np.float64)
    if draw(st.booleans()):
        rows[:] = rows[0]
    share = draw(st.sampled_from([1.0, 0.5]))  # what is missing to 1 is "no answer"
    rows = share * rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    return np.array(labels, dtype=np.int64), rows.astype(np.float32)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(stored_rows())
def test_scores_of_stored_rows_are_the_references(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, rows = case
    num_classes = rows.shape[1]
    guesses = np.array([int(np.argmax(row)) if row.any() else -1 for row in rows])
    scores = metrics.score(labels, rows, [f"class {c}" for c in range(num_classes)])
    options = {"labels": list(range(num_classes)), "zero_division": 0}
    assert scores.accuracy == pytest.approx(accuracy_score(labels, guesses), abs=1e-12)
    assert scores.macro_f1 == pytest.approx(f1_score(labels, guesses, average="macro", **options), abs=1e-12)
    expected = precision_recall_fscore_support(labels, guesses, **options)
    for key, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [getattr(found, key) for found in scores.per_class] == pytest.approx(values.tolist())
    assert [found.label for found in scores.per_class] == [f"class {c}" for c in range(num_classes)]
    assert (scores.num_images, scores.num_no_answer) == (len(labels), int((guesses == -1).sum()))
    by_hand = [-math.log(max(float(row[label]), 1e-6)) for row, label in zip(rows, labels, strict=True)]
    assert scores.nll == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-9)
    assert scores.ece == pytest.approx(reference_ece(labels, rows.astype(np.float64)), abs=1e-9)
    assert scores.extra == {}
    counts = metrics.confusion(labels, guesses, num_classes)
    assert counts.sum() == len(labels)
    assert counts[:, -1].tolist() == [
        int(((labels == c) & (guesses == -1)).sum()) for c in range(num_classes)
    ]


@pytest.mark.parametrize(
    ("p", "cost"),
    [(1.0, 0.0), (0.25, math.log(4)), (2e-6, -math.log(2e-6)), (1e-6, -math.log(1e-6)), (1e-7, -math.log(1e-6)),
     (0.0, -math.log(1e-6))],
)  # fmt: skip
def test_one_image_costs_at_most_the_floor(p: float, cost: float) -> None:
    assert metrics.nll(np.array([1]), np.array([[0.0, p]])) == pytest.approx(cost, abs=1e-12)


def test_a_row_without_an_answer_counts_with_confidence_0() -> None:
    # Bin (0, 1/15]: two images without an answer and one right with 1/15; 2 wrong add no gap.
    rows = np.array([[0, 0], [0, 0], [1 / 15, 0]])
    assert metrics.expected_calibration_error(np.array([0, 1, 0]), rows) == pytest.approx((1 - 1 / 15) / 3)
    assert metrics.expected_calibration_error(np.array([0, 1]), rows[:2]) == 0.0


def test_calibration_divides_by_all_images() -> None:
    # Bin (8/15, 9/15] holds 2 of 10 images, one right: |1 - 1.2| / 10; the rest is right and sure.
    rows = np.array([[0.6, 0.4]] * 2 + [[1.0, 0.0]] * 8)
    assert metrics.expected_calibration_error(np.array([0, 1] + [0] * 8), rows) == pytest.approx(0.02)


def test_scores_do_not_depend_on_the_order_of_images() -> None:
    random = np.random.RandomState(0)
    rows = random.dirichlet(np.ones(4), 200).astype(np.float32)
    labels = random.randint(0, 4, 200)
    order = random.permutation(200)
    one = metrics.score(labels, rows, list("abcd"))
    other = metrics.score(labels[order], rows[order], list("abcd"))
    assert (one.accuracy, one.macro_f1, one.per_class) == (other.accuracy, other.macro_f1, other.per_class)
    assert (one.nll, one.ece) == pytest.approx((other.nll, other.ece), abs=1e-12)


def test_scores_of_the_models_own_are_passed_on() -> None:
    assert metrics.score(np.array([0]), np.array([[1.0, 0.0]]), "ab", {"iou": 0.5}).extra == {"iou": 0.5}
