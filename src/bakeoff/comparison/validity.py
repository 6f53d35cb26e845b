"""What a stored run must say to be believed: values in their range, scores that its predictions give.

No torch here.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparison.figures import RUN_FIGURES, TOTAL_SECONDS, is_number, value_at
from bakeoff.evaluation import metrics
from bakeoff.runs import rundir
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.records import SCHEMA
from bakeoff.runs.stored_predictions import read_predictions

if TYPE_CHECKING:
    import numpy as np

    from bakeoff.comparison.statistics.values import Outcomes

# Largest difference between summary.json and what its predictions.npz gives.
_TOLERANCE = {"accuracy": 1e-6, "macro_f1": 1e-6, "nll": 1e-4}
_ROW_SUM_TOLERANCE = 1e-5
_MOST_CLASSES = 2**15 - 1  # as int16 holds them
# What a summary may leave out, or have as null where it was not measured.
_OPTIONAL = (
    *(figure.in_summary for figure in RUN_FIGURES.values() if figure.in_summary and figure.is_cost),
    TOTAL_SECONDS,
)


def invalid_summary(summary: dict[str, Any]) -> str | None:
    """Why a summary cannot be a run's result; None if it can."""
    schema = summary.get("schema")
    if type(schema) is not int or schema < 1:  # True is an int as well
        return f"summary.json: schema={schema!r} is no version number"
    if schema > SCHEMA:
        return f"summary.json: written by a newer bakeoff (schema {schema}, known is {SCHEMA})"
    test = summary.get("test")
    if not isinstance(test, dict):
        return "summary.json: no test scores"
    for name in ("setting", "model", "data"):
        if not isinstance(summary.get(name), str):
            return f"summary.json: {name}={summary.get(name)!r} is no text"
    if not isinstance(summary.get("seed"), int) or isinstance(summary["seed"], bool):
        return f"summary.json: seed={summary.get('seed')!r} is no whole number"
    if reason := _bad_scores(test, "test"):
        return f"summary.json: {reason}"
    for path in _OPTIONAL:
        value = value_at(summary, path)
        if value is not None and not is_number(value):
            return f"summary.json: {path}={value!r} is not a number of at least 0"
    return None


def _bad_scores(scores: dict[str, Any], split: str) -> str | None:
    """Which of a split's scores cannot be; None if all can."""
    for name in _TOLERANCE:
        figure = RUN_FIGURES[name]
        if not is_number(scores.get(name), 0.0, figure.highest):
            allowed = "a number in 0..1" if figure.is_share else "a number of at least 0"
            return f"{split}.{name}={scores.get(name)!r} is not {allowed}"
    if not isinstance(scores.get("num_images"), int) or not is_number(scores["num_images"], 1):
        return f"{split}.num_images={scores.get('num_images')!r} is no positive whole number"
    if not is_number(scores.get("num_no_answer", 0)):
        return f"{split}.num_no_answer={scores['num_no_answer']!r} is no whole number"
    return None


def checked_outcomes(path: Path, summary: dict[str, Any], split: str = "test") -> "Outcomes | None":
    """The stored predictions of a split's images, checked against the scores of the summary.

    Args:
        path: the run directory.
        summary: its summary, whose scores of the split are numbers in their ranges.
        split: test or val.

    Returns:
        What is kept of them; None where the run has none.

    Raises:
        UnreadableFileError: predictions that are damaged, impossible, or give other scores.
    """
    from bakeoff.comparison.statistics.values import outcomes

    name = rundir.PREDICTIONS[split]
    if not os.path.lexists(path / name):
        return None
    arrays = read_predictions(path, split)
    index, labels, rows = arrays["index"], arrays["label"], arrays["probabilities"]
    reason = _impossible(index, labels, rows, summary[split]["num_images"])
    if reason:
        raise UnreadableFileError(f"{name}: {reason}")
    kept = outcomes(index, labels, rows)
    reason = _disagreement(kept, summary[split], split)
    if reason:
        raise UnreadableFileError(f"summary.json: {reason}")
    return kept


def checked_validation(path: Path, summary: dict[str, Any]) -> tuple[float, float] | None:
    """Validation accuracy and NLL, if they match the run's own predictions; None if it stored none.

    Raises:
        UnreadableFileError: scores out of range, or predictions that do not give them.
    """
    scores = summary.get("val")
    if not isinstance(scores, dict):
        return None
    if reason := _bad_scores(scores, "val"):
        raise UnreadableFileError(f"summary.json: {reason}")
    has_them = checked_outcomes(path, summary, "val") is not None
    return (scores["accuracy"], scores["nll"]) if has_them else None


def _impossible(index: "np.ndarray", labels: "np.ndarray", rows: "np.ndarray", count: int) -> str | None:
    import numpy as np

    if index.shape != (count,) or labels.shape != (count,) or rows.ndim != 2 or len(rows) != count:
        return f"not {count} rows, as summary.json says"
    if index.dtype.kind != "i" or labels.dtype.kind != "i" or rows.dtype.kind != "f":
        return "arrays of the wrong kind"
    if not 1 <= rows.shape[1] <= _MOST_CLASSES:
        return f"{rows.shape[1]} classes"
    if not np.array_equal(np.sort(index), np.arange(count)):
        return f"index is no permutation of 0..{count - 1}"
    if labels.min() < 0 or labels.max() >= rows.shape[1]:
        return f"a label outside 0..{rows.shape[1] - 1}"
    if not np.isfinite(rows).all() or rows.min() < 0 or rows.sum(axis=1).max() > 1 + _ROW_SUM_TOLERANCE:
        return "rows that are no probabilities"
    return None


def _disagreement(kept: "Outcomes", stored: dict[str, Any], split: str) -> str | None:
    name = rundir.PREDICTIONS[split]
    counts = metrics.confusion(kept.labels, kept.guesses, kept.num_classes)
    scores = {
        "accuracy": float((kept.guesses == kept.labels).mean()),
        "macro_f1": float(metrics.precision_recall_f1(counts)[2].mean()),
        "nll": float(kept.nll.mean()),
    }
    for key, tolerance in _TOLERANCE.items():
        if abs(scores[key] - stored[key]) > tolerance:
            return f"{split}.{key}={stored[key]}, but {name} gives {scores[key]:.6f}"
    unanswered = int((kept.guesses == metrics.NO_ANSWER).sum())
    if stored.get("num_no_answer", unanswered) != unanswered:
        return f"{split}.num_no_answer={stored['num_no_answer']}, but {name} gives {unanswered}"
    return None
