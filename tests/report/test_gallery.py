"""Which images a page shows, by hand-made predictions."""

import base64
import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reported_runs import guessed_run, table_of

from bakeoff.report.evidence import evidence_of
from bakeoff.report.gallery import Gallery, gallery_of
from bakeoff.report.page.pictures import overlay_uri
from bakeoff.runs.explanations import Explanation

LABELS = [0, 1, 2, 0, 1, 2]


def gallery(root: Path) -> Gallery:
    evidence = evidence_of(table_of(root))
    assert evidence is not None
    return gallery_of(evidence)


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    guessed_run(tmp_path, "a", 0, LABELS, [0, 1, 2, 0, 2, 1], [0.9, 0.5, 0.7, 0.8, 0.95, 0.6])
    guessed_run(tmp_path, "b", 0, LABELS, [0, 2, 1, 0, 1, 1], [0.9, 0.8, 0.7, 0.8, 0.55, 0.9])
    return tmp_path


def test_images_that_one_row_alone_gets_right_surest_first(two_models: Path) -> None:
    found = gallery(two_models)
    assert [(row.row.model, shown.index) for row, shown in found.alone] == [("a", 2), ("a", 1), ("b", 4)]
    assert {row.row.model: found.num_alone[row.row.setting] for row, _ in found.alone} == {"a": 2, "b": 1}
    assert all(shown.label == LABELS[shown.index] for _, shown in found.alone)


def test_confident_mistakes_come_once_and_most_confident_first(two_models: Path) -> None:
    found = gallery(two_models)
    assert [(row.row.model, shown.index) for row, shown in found.mistakes] == [
        ("a", 4), ("b", 1), ("b", 2), ("a", 5),
    ]  # fmt: skip
    wrong = found.mistakes[0][1]
    told = {said.row.row.model: (said.guess, said.is_right, round(said.confidence, 2)) for said in wrong.said}
    assert told == {"a": (2, False, 0.95), "b": (1, True, 0.55)}


def test_of_several_seeds_most_count_with_their_own_confidence(tmp_path: Path) -> None:
    for seed, (guess, sure) in enumerate([(1, 0.9), (1, 0.7), (0, 0.99)]):
        guessed_run(tmp_path, "m", seed, LABELS, [guess, 1, 2, 0, 1, 2], [sure] + [0.9] * 5)
    ((_, shown),) = gallery(tmp_path).mistakes
    (said,) = shown.said
    assert (shown.index, said.guess, said.num_agreeing) == (0, 1, 2)
    assert said.confidence == pytest.approx(0.8)


def test_one_row_has_no_image_alone_and_no_prediction_is_no_confident_mistake(tmp_path: Path) -> None:
    guessed_run(tmp_path, "m", 0, LABELS, [-1, 1, 2, 0, 1, 0], [0.9] * 6)
    found = gallery(tmp_path)
    assert found.alone == ()
    assert found.num_alone == {}
    assert [shown.index for _, shown in found.mistakes] == [5]


def test_a_page_shows_no_more_than_it_holds(tmp_path: Path) -> None:
    labels = [0] * 300
    for place, model in enumerate("abcde"):
        guesses = [0 if index % 5 == place else 1 for index in range(300)]
        guessed_run(tmp_path, model, 0, labels, guesses, [0.9] * 300)
    found = gallery(tmp_path)
    assert 20 <= len(found.alone) <= 24
    assert 20 <= len(found.mistakes) <= 25
    assert len({shown.index for _, shown in found.mistakes}) == len(found.mistakes)
    assert {row.row.model for row, _ in found.alone} == set("abcde")
    assert found.indices == sorted({shown.index for _, shown in (*found.alone, *found.mistakes)})


@pytest.mark.parametrize("side", [1e5, 3e6, 1e9, 1e30])
def test_a_box_far_outside_takes_no_time_and_shows_no_line(side: float) -> None:
    """Pillow draws every pixel of a line, seen or not: of millions for each of many images."""
    pixels = np.full((28, 28, 1), 50, dtype=np.uint8)
    boxes = np.array([[-side, -side, side, side], [-side, 7.0, 14.0, side]], dtype=np.float32)
    began = time.process_time()
    source = overlay_uri(pixels, Explanation("box", None, boxes, ["a", "b"], [1.0, 0.5], None, 28, 28))
    assert time.process_time() - began < 0.3
    picture = np.array(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
    is_line = picture[:, :, 0] == 255
    assert is_line.any(axis=1).nonzero()[0].tolist() == list(range(28, 112))  # of 112 pixels a side
    assert is_line.any(axis=0).nonzero()[0].tolist() == list(range(56))


def test_of_two_seeds_that_differ_most_say_nothing(tmp_path: Path) -> None:
    """One of two is not most of them, whichever class has the smaller number."""
    for seed, guess in enumerate([0, 1]):
        guessed_run(tmp_path, "tied", seed, LABELS, [guess, guess, 2, 0, 1, 2], [0.9] * 6)
        guessed_run(tmp_path, "wrong", seed, LABELS, [2, 2, 2, 0, 1, 2], [0.9] * 6)
    found = gallery(tmp_path)
    assert found.alone == ()
    assert {(row.row.model, shown.index) for row, shown in found.mistakes} == {("wrong", 0), ("wrong", 1)}


def test_mistakes_are_ordered_by_the_confidence_that_is_shown(tmp_path: Path) -> None:
    """A run that is right, and sure of it, makes the others' mistake no more confident."""
    for seed, (guesses, sure) in enumerate(
        [([1, 2], [0.5, 0.6]), ([1, 2], [0.5, 0.6]), ([0, 1], [0.99, 0.5])]
    ):
        guessed_run(tmp_path, "m", seed, LABELS, [*guesses, 2, 0, 1, 2], [*sure, 0.9, 0.9, 0.9, 0.9])
    assert [shown.index for _, shown in gallery(tmp_path).mistakes] == [1, 0]


def test_right_by_fewer_than_half_of_the_seeds_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    for seed, guess in enumerate([0, 1, 2]):
        guessed_run(tmp_path, "split", seed, LABELS, [guess, 2, 2, 0, 1, 2], [0.9] * 6)
    for seed in range(3):
        guessed_run(tmp_path, "other", seed, LABELS, [1, 1, 2, 0, 1, 2], [0.8] * 6)
    found = gallery(tmp_path)
    shown = next(shown for _, shown in found.mistakes if shown.index == 0)
    told = {said.row.row.model: (said.guess, said.is_right, said.is_split) for said in shown.said}
    assert told == {"split": (0, False, True), "other": (1, False, False)}


def test_an_image_that_two_of_three_rows_get_right_is_nobodys_alone(tmp_path: Path) -> None:
    guesses = {"a": [0, 1, 2, 0, 1, 2], "b": [1, 1, 2, 0, 1, 2], "c": [1, 2, 2, 0, 1, 2]}
    for model, said in guesses.items():
        guessed_run(tmp_path, model, 0, LABELS, said, [0.9] * 6)
    found = gallery(tmp_path)
    assert [(row.row.model, shown.index) for row, shown in found.alone] == [("a", 0)]
    assert {row.row.model: found.num_alone[row.row.setting] for row, _ in found.alone} == {"a": 1}
