"""Runs that are no better than a guess, which knows how frequent the classes are. No torch here."""

import math
from collections.abc import Sequence

import numpy as np

from bakeoff.comparison.read import Run
from bakeoff.comparison.tables import SettingRow

_BROKEN = 1.5  # times the accuracy of guessing among more than two classes
_BETTER = 1.25  # times the macro-F1 of guessing: it has learned something
_UNEVEN = 1.2  # times the share of one class among classes that are all as frequent


def guessing_note(row: SettingRow, class_names: Sequence[str]) -> list[str]:
    """Names the seeds of a setting whose runs guess, and what guessing would have reached."""
    num_classes = len(class_names)
    if num_classes < 2:
        return []
    share, largest = _largest_class(row, num_classes)
    seeds = [run.summary["seed"] for run in row.members if _guesses(run, share, num_classes)]
    if not seeds:
        return []
    reference = f"guessing has {share * 100:.1f} % right"
    if largest is not None:
        reference = f"always predicting {class_names[largest]} has an accuracy of {share * 100:.1f} %"
        reference += "; classes are uneven, so look at macro_f1"
    return [f"no better than guessing with seed {', '.join(map(str, seeds))} ({reference})"]


def _largest_class(row: SettingRow, num_classes: int) -> tuple[float, int | None]:
    """Accuracy of the best guess, and the class it always says; None where any class is as good."""
    labels = next((run.outcomes.labels for run in row.members if run.outcomes), None)
    if labels is None:
        return 1 / num_classes, None
    shares = np.bincount(labels, minlength=num_classes) / len(labels)
    largest = int(shares.argmax())
    # Test images of a single class say nothing of guessing.
    if shares[largest] == 1 or shares[largest] * num_classes <= _UNEVEN:
        return 1 / num_classes, None
    return float(shares[largest]), largest


def _guesses(run: Run, share: float, num_classes: int) -> bool:
    test = run.summary["test"]
    accuracy = test["accuracy"]
    if num_classes > 2 and accuracy < _BROKEN / num_classes:
        return True
    by_luck = share + 2 * math.sqrt(share * (1 - share) / test["num_images"])
    macro_f1 = test.get("macro_f1")
    has_learned = macro_f1 is not None and macro_f1 >= _BETTER / num_classes
    return bool(accuracy <= by_luck and not has_learned)
