"""Which test images a page shows: those that one row alone gets right, and the most confident mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16, Int64

from bakeoff.report.evidence import Evidence, RowEvidence

_MOST_ALONE = 24  # images of the first kind
_MOST_MISTAKES = 24
_FEWEST_ROWS = 2


@dataclass(frozen=True)
class Said:
    """What the runs of one row said of one image."""

    row: RowEvidence
    guess: int  # of most runs; -1: no prediction
    is_right: bool  # and not by fewer than half of the runs
    is_split: bool  # right, but by fewer than half: the others say different things
    num_agreeing: int  # runs that said so
    confidence: float  # their mean


@dataclass(frozen=True)
class Shown:
    """One test image with what every row said of it."""

    index: int
    label: int
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Gallery:
    """The images of a page.

    Attributes:
        alone: (the row that is right, the image).
        mistakes: (the row that is wrong, the image), most confident first.
    """

    alone: tuple[tuple[RowEvidence, Shown], ...]
    mistakes: tuple[tuple[RowEvidence, Shown], ...]
    num_alone: dict[str, int]  # setting -> how many such images there are

    @property
    def indices(self) -> list[int]:
        """All images that it shows."""
        return sorted({shown.index for _, shown in (*self.alone, *self.mistakes)})


def gallery_of(evidence: Evidence) -> Gallery:
    """Chooses the images; by index where nothing else tells two apart, so it is the same each time."""
    majorities = [row.majority for row in evidence.rows]
    shares = np.stack([row.share_right for row in evidence.rows])
    num_wrong = (shares < 0.5).sum(axis=0)  # rows of which most runs are wrong
    alone: list[tuple[RowEvidence, Shown]] = []
    num_alone = {}
    each = max(1, _MOST_ALONE // len(evidence.rows))
    for place, row in enumerate(evidence.rows if len(evidence.rows) >= _FEWEST_ROWS else ()):
        images = np.flatnonzero((shares[place] > 0.5) & (num_wrong == len(evidence.rows) - 1))
        num_alone[row.row.setting] = len(images)
        chosen = _surest(images, row.share_right * _confidence(row, evidence.labels))[:each]
        alone += [(row, _shown(evidence, majorities, int(index))) for index in chosen]
    return Gallery(tuple(alone[:_MOST_ALONE]), tuple(_mistakes(evidence, majorities)), num_alone)


def _mistakes(evidence: Evidence, majorities: Sequence[np.ndarray]) -> list[tuple[RowEvidence, Shown]]:
    """The most confident of each row in turn, no image twice."""
    each = -(-_MOST_MISTAKES // len(evidence.rows))
    taken: set[int] = set()
    found: list[tuple[float, RowEvidence, int]] = []
    for row, said in zip(evidence.rows, majorities, strict=True):
        confidence = _confidence(row, said)
        wrong = np.flatnonzero((row.share_right < 0.5) & (said != evidence.labels) & (said >= 0))
        fresh = [int(index) for index in _surest(wrong, confidence) if int(index) not in taken][:each]
        taken |= set(fresh)
        found += [(float(confidence[index]), row, index) for index in fresh]
    found.sort(key=lambda one: (-one[0], one[2]))
    return [(row, _shown(evidence, majorities, index)) for _, row, index in found[:_MOST_MISTAKES]]


def _confidence(row: RowEvidence, said: Int16[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Mean over the runs that said so; 0 where none did."""
    agreeing = row.guesses == said
    sums = (row.confidence.astype(np.float64) * agreeing).sum(axis=0)
    return np.asarray(sums / np.maximum(agreeing.sum(axis=0), 1))


def _surest(images: Int64[np.ndarray, "k"], confidence: Float64[np.ndarray, "n"]) -> Int64[np.ndarray, "k"]:
    return images[np.argsort(-confidence[images], kind="stable")]


def _shown(evidence: Evidence, majorities: Sequence[np.ndarray], index: int) -> Shown:
    label = int(evidence.labels[index])
    said = []
    for row, majority in zip(evidence.rows, majorities, strict=True):
        guess = int(majority[index])
        agreeing = row.guesses[:, index] == guess
        confidence = float(row.confidence[agreeing, index].mean()) if agreeing.any() else 0.0
        has_label, few = guess == label, 2 * int(agreeing.sum()) < row.num_runs
        said.append(
            Said(row, guess, has_label and not few, has_label and few, int(agreeing.sum()), confidence)
        )
    return Shown(index, label, tuple(said))
