"""Predictions -> accuracy, macro-F1, NLL, calibration. Pure functions of NumPy arrays, no torch.

All figures of a split come from one array of probabilities, never from a mean over batches, so they
equal scikit-learn's with `labels=range(C), zero_division=0`. A row of zeros is "no answer": code -1,
counted as wrong, with confidence 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from bakeoff.runs.records import ClassScores, SplitScores

NO_ANSWER = -1
PROBABILITY_FLOOR = 1e-6  # of the true class in the NLL, so that one image costs at most 13.8
ECE_BINS = 15


def answers(probabilities: Float[np.ndarray, "n classes"]) -> Int64[np.ndarray, "n"]:
    """The most probable class of each row, -1 for a row of zeros; int64 [n]. Ties: the first."""
    return np.where(probabilities.max(axis=1) > 0, probabilities.argmax(axis=1), NO_ANSWER)


def confusion(
    labels: Int[np.ndarray, "n"], guesses: Int[np.ndarray, "n"], num_classes: int
) -> Int64[np.ndarray, "classes columns"]:
    """Counts int64 [classes, classes + 1] by true class and guess; the last column is "no answer"."""
    # Computed wide whatever the arrays are stored as: in int16 the places of 181 classes overflow.
    labels, guesses = labels.astype(np.int64), guesses.astype(np.int64)
    columns = np.where(guesses == NO_ANSWER, num_classes, guesses)
    flat = np.bincount(labels * (num_classes + 1) + columns, minlength=num_classes * (num_classes + 1))
    return flat.reshape(num_classes, num_classes + 1)


def precision_recall_f1(
    counts: Int64[np.ndarray, "classes columns"],
) -> tuple[Float64[np.ndarray, "classes"], Float64[np.ndarray, "classes"], Float64[np.ndarray, "classes"]]:
    """Per class, float64 [classes], from confusion counts; 0 where undefined."""
    right = np.diagonal(counts).astype(np.float64)
    guessed = counts[:, :-1].sum(axis=0)
    labelled = counts.sum(axis=1)
    precision = right / np.maximum(guessed, 1)
    recall = right / np.maximum(labelled, 1)
    f1 = 2 * right / np.maximum(guessed + labelled, 1)
    return precision, recall, f1


def nll(labels: Int[np.ndarray, "n"], probabilities: Float[np.ndarray, "n classes"]) -> float:
    """Mean of -log p(true class), p floored at 1e-6, in nats."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, PROBABILITY_FLOOR)).mean())


class CalibrationBins(NamedTuple):
    """Images by top probability, in 15 bins (k/15, (k+1)/15]; float64 [15] each, sums over images."""

    num_images: np.ndarray
    confidence: np.ndarray
    num_right: np.ndarray


def calibration_bins(
    labels: Int[np.ndarray, "n"], probabilities: Float[np.ndarray, "n classes"]
) -> CalibrationBins:
    """Sorts images into bins. A row without an answer counts with confidence 0, as wrong."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    edges = np.arange(1, ECE_BINS) / ECE_BINS
    bins = np.searchsorted(edges, confidence, side="left")
    right = answers(probabilities) == labels
    return CalibrationBins(
        *(np.bincount(bins, weights=weights, minlength=ECE_BINS) for weights in (None, confidence, right))
    )


def expected_calibration_error(
    labels: Int[np.ndarray, "n"], probabilities: Float[np.ndarray, "n classes"]
) -> float:
    """ECE of the top probability (Guo et al. 2017, eq. 3); all images divide."""
    bins = calibration_bins(labels, probabilities)
    return float(np.abs(bins.num_right - bins.confidence).sum() / len(labels))


def score(
    labels: Int[np.ndarray, "n"],
    probabilities: Float[np.ndarray, "n classes"],
    class_names: Sequence[str],
    extra: dict[str, float] | None = None,
) -> SplitScores:
    """All scores of a split.

    Args:
        labels: int64 [n], 0..C-1, n at least 1.
        probabilities: float [n, C], rows summing to at most 1.
        class_names: C names.
        extra: scores of the model's own, means over all images.
    """
    guesses = answers(probabilities)
    counts = confusion(labels, guesses, len(class_names))
    precision, recall, f1 = precision_recall_f1(counts)
    return SplitScores(
        accuracy=float((guesses == labels).mean()),
        macro_f1=float(f1.mean()),
        nll=nll(labels, probabilities),
        ece=expected_calibration_error(labels, probabilities),
        num_images=len(labels),
        num_no_answer=int((guesses == NO_ANSWER).sum()),
        per_class=[
            ClassScores(name, float(precision[c]), float(recall[c]), float(f1[c]), int(counts[c].sum()))
            for c, name in enumerate(class_names)
        ],
        extra=extra or {},
    )
