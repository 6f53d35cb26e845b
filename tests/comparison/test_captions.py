"""The sentences around a table: they agree with what it shows, and say each thing once."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from compared_runs import edit_summary, make_guessed_run, only_table
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.runs.rundir import RunDir


def text(bakeoff: Bakeoff, root: Path, *options: str, code: int = 0) -> str:
    found, out, error = bakeoff("compare", str(root), *options)
    assert found == code, error
    return out


def guesses(labels: np.ndarray, wrong: np.ndarray, num_classes: int) -> np.ndarray:
    return np.where(wrong, (labels + 1) % num_classes, labels)


def test_runs_that_all_failed_are_not_missing_from_a_table_that_is_not_there(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    RunDir.create(tmp_path / "r" / "1").write_status("failed", 3, "no more disk")
    out = text(bakeoff, tmp_path / "r", code=7)
    assert out == "no finished run to compare; found:\n  1: failed: no more disk\n"
    assert text(bakeoff, tmp_path / "r", "--format", "markdown", code=7).startswith(
        "No finished run to compare"
    )


@pytest.mark.parametrize(
    ("weights", "title", "column"),
    [
        (["none", "none"], "trained from scratch", []),
        (["imagenet", "imagenet"], "weights: imagenet", []),
        (["none", "imagenet"], "", ["from scratch", "imagenet"]),
    ],
)
def test_first_weights_are_said_once(
    bakeoff: Bakeoff, tmp_path: Path, weights: list[str], title: str, column: list[str]
) -> None:
    for number, value in enumerate(weights):
        make_run(tmp_path / "r" / str(number), 0, str(number), model=f"net{number}")
        edit_summary(tmp_path / "r" / str(number), weights=value)
    out = text(bakeoff, tmp_path / "r")
    first = out.splitlines()[0]
    assert first == "toy: 60 test images, 5 classes" + (f", {title}" if title else "")
    rows = [line for line in out.splitlines() if re.match(r"\d  net", line)]
    assert all(any(value in row for row in rows) for value in column)
    assert ("weights" in out.splitlines()[3].split()) == bool(column)
    note = "caution: the rows also differ in first weights: from scratch in net0; imagenet in net1"
    assert (note in out) == bool(column)
    assert "note: caution" not in out


def test_single_classes_may_differ_where_no_difference_is_proven(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """One is wrong in a class where the other is right, and the other way round: the same accuracy."""
    labels = np.arange(600) % 3
    for seed in range(3):
        first = (labels == 0) & (np.arange(600) % 5 == seed)
        second = (labels == 1) & (np.arange(600) % 5 == seed)
        make_guessed_run(tmp_path, "one", seed, labels, guesses(labels, first, 3), 3)
        make_guessed_run(tmp_path, "two", seed, labels, guesses(labels, second, 3), 3)
    (sentence,) = only_table(bakeoff, tmp_path)["verdict"]
    assert sentence.startswith("two and one: no proven difference; two could be up to ")
    assert re.search(
        r"could be up to (\d\.\d\d) points better or worse; only", sentence
    )  # the same to both sides
    assert sentence.endswith(" Single classes do differ in recall: 0, 1.")
    assert "Their recall" not in sentence


def test_what_each_row_is_compared_with_is_said(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels = np.arange(300) % 3
    for place, model in enumerate(("a", "b", "c")):
        make_guessed_run(tmp_path, model, 0, labels, guesses(labels, np.arange(300) < 30 * place, 3), 3)
    heading = "\nEach row against a (--baseline NUMBER takes another row; --format json has all 3 pairs):\n"
    assert heading in text(bakeoff, tmp_path)
    assert heading in text(bakeoff, tmp_path, "--sort", "accuracy:asc")  # the most accurate, not the first
    heading = "\nEach row against c (--baseline NUMBER takes another row):\n"
    assert heading in text(bakeoff, tmp_path, "--baseline", "c")
    assert "Each row against" not in text(bakeoff, tmp_path, "--top", "2")
    assert "Each row against" not in text(bakeoff, tmp_path, "--no-statistics")


def test_a_caption_speaks_of_no_column_that_is_not_there(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels = np.arange(300) % 3
    for seed in range(2):
        for place, model in enumerate(("a", "b")):
            wrong = np.arange(300) < 40 * place + seed
            make_guessed_run(tmp_path, model, seed, labels, guesses(labels, wrong, 3), 3)
    whole = text(bakeoff, tmp_path).splitlines()[1]
    assert whole == (
        "test scores, mean over n seeds [95 % interval: luck of seeds and of test images]; "
        "group: no proven difference between rows with the same letter; 1 point: 1 % of the test images"
    )
    caption = text(bakeoff, tmp_path, "--columns", "parameters").splitlines()[1]
    assert caption == "test scores, mean over 2 seeds; 1 point: 1 % of the test images"
    assert "n seeds" not in text(bakeoff, tmp_path, "--only-changed")
    path = tmp_path / "a0" / "summary.json"
    summary = json.loads(path.read_text())
    summary["time"]["train_seconds"] = 9.0
    path.write_text(json.dumps(summary))
    assert "; ±: standard deviation over the seeds; " in text(bakeoff, tmp_path).splitlines()[1]
    caption = text(bakeoff, tmp_path, "--cost", "parameters").splitlines()[1]
    assert "; an asterisk (*) in column front: a best trade-off; " in caption


def test_what_holds_of_several_rows_is_noted_once(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels = np.arange(300) % 3
    for seed in range(2):
        for place, model in enumerate(("a", "b")):
            make_guessed_run(tmp_path, model, seed, labels, guesses(labels, np.arange(300) < 9 * place, 3), 3)
    notes = only_table(bakeoff, tmp_path)["notes"]
    assert "a, b: the seed changes nothing, all runs gave the same predictions" in notes
