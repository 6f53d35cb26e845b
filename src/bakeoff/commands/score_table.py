"""Test scores computed again, beside those of the run's summary. No torch here."""

from collections.abc import Mapping

from bakeoff.comparison.run import Run
from bakeoff.machine.waiting import tell
from bakeoff.runs.records import SplitScores
from bakeoff.text import percent, printable

# Equal means equal up to what another machine or precision may change in the last bits of the NLL.
SAME_MODEL = {"accuracy": 1e-9, "macro_f1": 1e-9, "nll": 1e-6}
_NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "nll": "test loss (NLL)"}
_WIDTH = max(map(len, _NAMES.values()))
_MOST_CLASSES_SHOWN = 30


def print_scores(run: Run, scores: SplitScores, title: str, tolerance: Mapping[str, float] | None) -> bool:
    """Prints them with a line for each class.

    Args:
        run: what they should be.
        scores: what they are.
        title: of the new column.
        tolerance: how much each may differ; None: they are only shown.

    Returns:
        Whether none differs by more.
    """
    tell(f"{run.path}: {scores.num_images:,} test images of {printable(run.data_title)}")
    print(f"{'':{_WIDTH}}{'summary.json':>14}{title:>14}")
    same = True
    for key, name in _NAMES.items():
        stored, now = run.summary["test"][key], getattr(scores, key)
        differs = tolerance is not None and not abs(stored - now) <= tolerance[key]
        same &= not differs
        print(f"{name:{_WIDTH}}{stored:14.6f}{now:14.6f}{'  differs' if differs else ''}")
    _print_classes(scores)
    return same


def _print_classes(scores: SplitScores) -> None:
    """A line for each class; of many classes those with the lowest F1."""
    classes = scores.per_class
    if len(classes) > _MOST_CLASSES_SHOWN:
        classes = sorted(classes, key=lambda item: item.f1)[:_MOST_CLASSES_SHOWN]
        print(f"\nthe {len(classes)} of {len(scores.per_class)} classes with the lowest F1")
    names = [printable(item.label) for item in classes]
    width = max(len("class"), *map(len, names))
    print(f"\n{'class':{width}}  precision    recall        F1  images")
    for name, item in zip(names, classes, strict=True):
        shares = f"{percent(item.precision):>9}  {percent(item.recall):>8}  {percent(item.f1):>8}"
        print(f"{name:{width}}  {shares}  {item.support:6,}")
    print()
