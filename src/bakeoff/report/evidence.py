"""What the stored predictions of a table's runs say beyond its scores: where rows fail, how sure they were.

One run's probabilities are in memory at a time; what is kept of each image is a guess and a confidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16, Int64

from bakeoff.comparison.run import Run
from bakeoff.comparison.statistics.noise import Noise, noise_of, own_interval
from bakeoff.comparison.statistics.values import Metric, Outcomes
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.evaluation.metrics import ECE_BINS, CalibrationBins, calibration_bins
from bakeoff.machine.signals import check_stop
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.stored_predictions import read_predictions


@dataclass(frozen=True)
class ClassScores:
    """Recall and F1 of one class, means over a row's runs, with 95 % intervals where they can be told."""

    label: int
    num_images: int
    recall: float
    recall_interval: tuple[float, float] | None
    f1: float
    f1_interval: tuple[float, float] | None


@dataclass(frozen=True)
class RowEvidence:
    """What the runs of one row said of n test images, in the order of the test split."""

    row: SettingRow
    guesses: Int16[np.ndarray, "runs n"]  # -1: no prediction
    confidence: Float32[np.ndarray, "runs n"]  # of the guess, 0..1
    bins: CalibrationBins  # sums over the runs
    num_classes: int
    classes: tuple[ClassScores, ...]

    @property
    def num_runs(self) -> int:
        """How many of the row's runs have predictions."""
        return len(self.guesses)

    @property
    def majority(self) -> Int16[np.ndarray, "n"]:
        """What most of the runs said of each image; of equally many the smaller class, no prediction last."""
        said = np.where(self.guesses < 0, self.num_classes, self.guesses)
        votes = np.stack([(said == one).sum(axis=0) for one in said])  # for what each run said
        most = np.where(votes == votes.max(axis=0), said, self.num_classes).min(axis=0)
        return np.where(most == self.num_classes, -1, most).astype(np.int16)

    def counts(self, classes: Sequence[int]) -> Int64[np.ndarray, "shown columns"]:
        """Sums over the runs by true class, of some classes, and guess; the last column: no prediction."""
        counts = np.zeros((len(classes), self.num_classes + 1), np.int64)
        columns = np.where(self.guesses < 0, self.num_classes, self.guesses)
        for line, label in zip(counts, classes, strict=True):
            said = columns[:, self.labels == label].ravel()
            line[:] = np.bincount(said, minlength=self.num_classes + 1)
        return counts

    def totals(self) -> tuple[Int64[np.ndarray, "classes"], Int64[np.ndarray, "classes"]]:
        """Of each true class, sums over the runs: its images, and those that were predicted right."""
        images = np.bincount(self.labels, minlength=self.num_classes)
        right = sum(np.bincount(self.labels[one], minlength=self.num_classes) for one in self.right)
        return images * self.num_runs, np.asarray(right)

    @property
    def share_right(self) -> Float64[np.ndarray, "n"]:
        """Of the runs, for each image."""
        return np.asarray(self.right.mean(axis=0), dtype=np.float64)

    @property
    def right(self) -> Bool[np.ndarray, "runs n"]:
        """Whether a run was right about an image."""
        return np.asarray(self.guesses == self.labels)

    @property
    def labels(self) -> Int16[np.ndarray, "n"]:
        """The true classes."""
        return next(run.outcomes.labels for run in self.row.members if run.outcomes)


@dataclass(frozen=True)
class Evidence:
    """All rows of a table that have predictions, in the table's order."""

    labels: Int16[np.ndarray, "n"]
    class_names: tuple[str, ...]
    rows: tuple[RowEvidence, ...]


def evidence_of(table: Table) -> Evidence | None:
    """Reads the predictions of a table's runs once more, for what no score says.

    Predictions that went away or changed since they were checked leave their row out.

    Returns:
        None if no row has any.
    """
    rows = [found for row in table.settings if (found := _of_row(row)) is not None]
    if not rows:
        return None
    num_classes = rows[0].num_classes
    names = (
        table.class_names if len(table.class_names) == num_classes else tuple(map(str, range(num_classes)))
    )
    return Evidence(rows[0].labels, names, tuple(rows))


def _of_row(row: SettingRow) -> RowEvidence | None:
    known = [(run, run.outcomes) for run in row.members if run.outcomes is not None]
    if not known:
        return None
    confidence, bins = [], np.zeros((3, ECE_BINS))
    try:
        for run, of_run in known:
            check_stop()
            sure, run_bins = _confidence(run, of_run)
            confidence.append(sure)
            bins += np.stack(run_bins)
    except UnreadableFileError:
        return None
    outcomes = [one for _, one in known]
    guesses = np.stack([one.guesses for one in outcomes])
    num_classes = outcomes[0].num_classes
    classes = tuple(class_scores(outcomes[0].labels, guesses, num_classes))
    return RowEvidence(row, guesses, np.stack(confidence), CalibrationBins(*bins), num_classes, classes)


def _confidence(run: Run, outcomes: Outcomes) -> tuple[Float32[np.ndarray, "n"], CalibrationBins]:
    """How sure a run was of each image, in the order of the split.

    Raises:
        UnreadableFileError: the predictions are other ones than those that were checked.
    """
    arrays = read_predictions(run.path, "test")
    index, labels, probabilities = (arrays[name] for name in ("index", "label", "probabilities"))
    order = np.argsort(index, kind="stable")
    if not np.array_equal(labels[order], outcomes.labels):
        raise UnreadableFileError("the predictions changed while they were read")
    return probabilities.max(axis=1)[order].astype(np.float32), calibration_bins(labels, probabilities)


def class_scores(
    labels: Int16[np.ndarray, "n"], guesses: Int16[np.ndarray, "runs n"], num_classes: int
) -> list[ClassScores]:
    """Recall and F1 of each class that has test images; intervals as for the scores of a table.

    A recall is an accuracy over the images of its class. An F1 has a value for each image, whose mean is the
    score: the score plus the image's influence on it (Hampel 1974), as the macro-F1 of a table has.
    """
    right = guesses == labels
    scores = []
    for number in range(num_classes):
        images = np.flatnonzero(labels == number)
        if len(images) == 0:
            continue
        recall = noise_of(right[:, images].astype(np.float64))
        values = np.stack([_f1_values(labels == number, said == number) for said in guesses])
        f1 = noise_of(values)
        scores.append(
            ClassScores(
                number,
                len(images),
                recall.mean,
                _interval(recall, "accuracy"),
                f1.mean,
                _interval(f1, "macro_f1"),
            )
        )
    return scores


def _interval(noise: Noise, metric: Metric) -> tuple[float, float] | None:
    found = own_interval(noise, metric)
    return None if found is None else (float(found[0]), float(found[1]))


def _f1_values(is_label: Bool[np.ndarray, "n"], is_guess: Bool[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """A value for each image whose mean is the F1 of one class."""
    total = (is_label.sum() + is_guess.sum()) / len(is_label)
    if total == 0:
        return np.zeros(len(is_label))
    f1 = 2 * (is_label & is_guess).mean() / total
    influence = (2.0 * (is_label & is_guess) - f1 * is_label - f1 * is_guess) / total
    return np.asarray(f1 + influence, dtype=np.float64)


def agreement(rows: Sequence[RowEvidence]) -> Float64[np.ndarray, "rows rows"]:
    """The share of images of which two rows say the same, mean over all pairs of their runs.

    On the diagonal it is the mean over pairs of different runs of the row, how far its seeds agree; NaN for
    one run.
    """
    size = len(rows)
    shares = np.full((size, size), np.nan)
    for i in range(size):
        for j in range(i, size):
            same = [
                float((one == other).mean())
                for place, one in enumerate(rows[i].guesses)
                for other in rows[j].guesses[place + 1 if i == j else 0 :]
            ]
            if same:
                shares[i, j] = shares[j, i] = float(np.mean(same))
    return shares
