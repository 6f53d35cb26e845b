"""What one run says of each image, as a value whose mean over the images is the run's score."""

import hashlib
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, Int16

from bakeoff.evaluation.metrics import PROBABILITY_FLOOR, answers

Metric = Literal["accuracy", "macro_f1", "nll"]
METRICS: tuple[Metric, ...] = ("accuracy", "macro_f1", "nll")
WORST_NLL = -float(np.log(PROBABILITY_FLOOR))  # of an image without an answer
_FEW_A_CLASS = 5  # images, on average, below which influences are too small


class Outcomes(NamedTuple):
    """One run on n test images, in the order of the stored index."""

    labels: Int16[np.ndarray, "n"]
    guesses: Int16[np.ndarray, "n"]  # -1 for no answer
    nll: Float64[np.ndarray, "n"]  # of the true class, in nats
    num_classes: int

    def digest(self) -> bytes:
        """Equal for runs that said the same of every image."""
        return hashlib.blake2b(self.guesses.tobytes() + self.nll.tobytes(), digest_size=16).digest()


def outcomes(
    index: Int[np.ndarray, "n"], labels: Int[np.ndarray, "n"], probabilities: Float[np.ndarray, "n classes"]
) -> Outcomes:
    """Stored predictions to what is kept of them.

    Args:
        index: a permutation of 0..n-1.
        labels: 0..C-1.
        probabilities: rows that sum to at most 1.
    """
    order = np.argsort(index, kind="stable")
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Outcomes(
        labels[order].astype(np.int16),
        answers(probabilities)[order].astype(np.int16),
        -np.log(np.maximum(true, PROBABILITY_FLOOR))[order],
        probabilities.shape[1],
    )


def values_of(metric: Metric, run: Outcomes) -> Float64[np.ndarray, "n"]:
    """A value for each image; the mean is the score of the run."""
    if metric == "accuracy":
        return np.asarray(run.guesses == run.labels, dtype=np.float64)
    if metric == "nll":
        return run.nll
    return _macro_f1_values(run.labels, run.guesses, run.num_classes)


def _macro_f1_values(
    labels: Int16[np.ndarray, "n"], guesses: Int16[np.ndarray, "n"], num_classes: int
) -> Float64[np.ndarray, "n"]:
    """The score plus each image's influence on it (Hampel 1974): its mean is the macro-F1."""
    size = len(labels)
    if size < _FEW_A_CLASS * len(np.unique(labels)):
        return _macro_f1_jackknife(labels, guesses, num_classes)
    answered = guesses >= 0
    label_share = np.bincount(labels, minlength=num_classes) / size
    guess_share = np.bincount(guesses[answered], minlength=num_classes) / size
    both_share = np.bincount(labels[guesses == labels], minlength=num_classes) / size
    total = label_share + guess_share
    # A class that is neither a label nor a guess has F1 0 and no image to influence it.
    inverse = np.divide(1.0, total, out=np.zeros(num_classes), where=total > 0)
    f1 = 2 * both_share * inverse
    influence = 2 * (guesses == labels) * inverse[labels] - (f1 * inverse)[labels]
    influence[answered] -= (f1 * inverse)[guesses[answered]]
    return np.asarray(f1.mean() + influence / num_classes, dtype=np.float64)


def _macro_f1_jackknife(
    labels: Int16[np.ndarray, "n"], guesses: Int16[np.ndarray, "n"], num_classes: int
) -> Float64[np.ndarray, "n"]:
    """Pseudo-values: how the score moves without each image (Tukey 1958), with the macro-F1 as their mean.

    An influence is a slope. Of a class with one image it is 0, as if no other image could change the score.
    """
    answered = guesses >= 0
    right = guesses == labels
    total = np.bincount(labels, minlength=num_classes) + np.bincount(guesses[answered], minlength=num_classes)
    both = np.bincount(labels[right], minlength=num_classes)
    f1 = _f1(both, total)
    moves = _f1(both[labels] - right, total[labels] - 1 - right) - f1[labels]
    wrong = answered & ~right
    said = guesses[wrong]
    moves[wrong] += _f1(both[said], total[said] - 1) - f1[said]
    pseudo = -(len(labels) - 1) * moves / num_classes
    return np.asarray(f1.mean() + pseudo - pseudo.mean(), dtype=np.float64)


def _f1(hits: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Of each class, from the right guesses and the sum of labels and guesses; 0 without any."""
    return np.asarray(np.divide(2.0 * hits, total, out=np.zeros(len(total)), where=total > 0))
