"""Tables of more classes than the places of a confusion matrix fit into what predictions are stored as."""

from pathlib import Path

import numpy as np
import pytest
from compared_runs import as_json
from conftest import Bakeoff
from run_directories import make_run
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

import bakeoff as package
from bakeoff.comparison import read
from bakeoff.evaluation import metrics


def some_wrong(num_classes: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and rows of probabilities; a share of the images is taken for the class after their own."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), 2)
    guesses = np.where(random.random(len(labels)) < share, (labels + 1) % num_classes, labels)
    rows = np.full((len(labels), num_classes), 0.09 / (num_classes - 1), dtype=np.float32)
    rows[np.arange(len(labels)), guesses] = 0.91
    return labels, rows


@pytest.mark.parametrize("num_classes", [180, 181, 300, 1000])
def test_many_classes_are_scored_as_scikit_learn_does(
    bakeoff: Bakeoff, tmp_path: Path, num_classes: int
) -> None:
    for setting, share in (("a", 0.1), ("b", 0.4)):
        make_run(tmp_path / setting, 0, setting, stored=some_wrong(num_classes, share, 0))
    (table,) = as_json(bakeoff, str(tmp_path))["tables"]
    assert table["num_classes"] == num_classes
    for row in table["settings"]:
        labels, rows = some_wrong(num_classes, {"a": 0.1, "b": 0.4}[row["setting"]], 0)
        guesses = rows.argmax(axis=1)
        found = {name: row["metrics"][name]["mean"] for name in ("accuracy", "macro_f1")}
        assert found == pytest.approx(
            {
                "accuracy": accuracy_score(labels, guesses),
                "macro_f1": f1_score(labels, guesses, average="macro", labels=range(num_classes)),
            }
        )
    assert bakeoff("diff", str(tmp_path / "a"), str(tmp_path / "b"))[0] == 0
    assert bakeoff("prune", str(tmp_path))[0] == 0
    assert len(package.load_runs(tmp_path)) == 2


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("num_classes", [11, 12, 100])
def test_a_confusion_matrix_is_computed_wide(dtype: type, num_classes: int) -> None:
    labels = np.arange(num_classes)
    guesses = np.where(labels % 3 == 0, -1, (labels * 7) % num_classes)
    counts = metrics.confusion(labels.astype(dtype), guesses.astype(dtype), num_classes)
    shifted = np.where(guesses == -1, num_classes, guesses)
    assert counts.dtype == np.int64
    assert np.array_equal(counts, confusion_matrix(labels, shifted, labels=range(num_classes + 1))[:-1])


# whatever goes wrong with one directory


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("a  bug\nof ours"), "cannot be read: ZeroDivisionError: a bug of ours"),
        (RecursionError("deep"), "cannot be read: RecursionError: deep"),
        (MemoryError(), "cannot be read: it needs more memory than there is"),
        (OSError(5, "Input/output error"), "cannot be read: OSError: [Errno 5] Input/output error"),
    ],
)
def test_an_unforeseen_error_is_the_problem_of_one_directory(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    for name in ("good", "bad"):
        make_run(tmp_path / name, 0, name)
    original = read.invalid_summary

    def raising(summary: dict[str, object]) -> str | None:
        if summary["setting"] == "bad":
            raise error
        return original(summary)

    monkeypatch.setattr(read, "invalid_summary", raising)
    result = as_json(bakeoff, str(tmp_path), code=7)
    assert result["problems"] == [{"path": "bad", "reason": reason}]
    assert [row["setting"] for row in result["tables"][0]["settings"]] == ["good"]
    frame = package.load_runs(tmp_path)
    assert (len(frame), frame.attrs["problems"][0]["reason"]) == (1, reason)
    code, out, _ = bakeoff("prune", str(tmp_path))
    assert (code, f"left alone {tmp_path / 'bad'}: {reason}" in out) == (0, True)
    for words in (("diff", str(tmp_path / "good")), ("evaluate",)):
        code, _, message = bakeoff(*words, str(tmp_path / "bad"))
        assert (code, reason in message) == (7, True), words


def test_ctrl_c_is_no_problem_of_a_directory(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "a", 0, "a")

    def stopped(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(read, "invalid_summary", stopped)
    assert bakeoff("compare", str(tmp_path))[0] == 75
