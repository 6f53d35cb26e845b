"""Which runs are called no better than guessing: a guess knows how frequent the classes are."""

from pathlib import Path

import numpy as np
from compared_runs import make_guessed_run, only_table
from conftest import Bakeoff

SEEDS = range(3)


def test_half_right_of_two_classes_is_guessing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    random, labels = np.random.default_rng(1), np.arange(300) % 2
    for seed in SEEDS:
        make_guessed_run(
            tmp_path, "cnn", seed, labels, np.where(random.random(300) < 0.1, 1 - labels, labels), 2
        )
        make_guessed_run(
            tmp_path, "vit", seed, labels, np.where(random.random(300) < 0.5, 1 - labels, labels), 2
        )
    guessing = [note for note in only_table(bakeoff, tmp_path)["notes"] if "guessing" in note]
    assert guessing == ["vit: no better than guessing with seed 0, 1, 2 (guessing has 50.0 % right)"]


def test_always_the_frequent_class_is_guessing_and_92_percent_may_be_more(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    """`vit` is little above the 90 % of the frequent class; its macro-F1 says that it has learned."""
    random, labels = np.random.default_rng(2), (np.arange(400) % 10 == 0).astype(int)
    for seed in SEEDS:
        make_guessed_run(tmp_path, "cnn", seed, labels, np.zeros(400, dtype=int), 2)
        make_guessed_run(
            tmp_path, "vit", seed, labels, np.where(random.random(400) < 0.08, 1 - labels, labels), 2
        )
    (note,) = (note for note in only_table(bakeoff, tmp_path)["notes"] if "guessing" in note)
    assert note == (
        "cnn: no better than guessing with seed 0, 1, 2 "
        "(always predicting 0 has an accuracy of 90.0 %; classes are uneven, so look at macro_f1)"
    )


def test_sixty_percent_of_two_even_classes_is_more_than_luck(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels = np.arange(300) % 2
    make_guessed_run(tmp_path, "a", 0, labels, np.where(np.arange(300) < 120, 1 - labels, labels), 2)
    assert not any("guessing" in note for note in only_table(bakeoff, tmp_path)["notes"])


def test_ninety_percent_of_three_classes_that_are_always_one_is_guessing(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    labels = np.where(np.arange(300) < 270, 1, np.arange(300) % 3)
    make_guessed_run(tmp_path, "a", 0, labels, np.ones(300, dtype=int), 3)
    (note,) = (note for note in only_table(bakeoff, tmp_path)["notes"] if "guessing" in note)
    assert "always predicting 1 has an accuracy of 93.3 %" in note
