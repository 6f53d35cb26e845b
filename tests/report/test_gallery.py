"""Which images a page shows, by hand-made predictions."""

from pathlib import Path

import pytest
from reported_runs import guessed_run, table_of

from bakeoff.report.evidence import evidence_of
from bakeoff.report.gallery import Gallery, gallery_of

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
