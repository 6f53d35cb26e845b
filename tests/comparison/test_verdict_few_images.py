"""Sentences of tables in which few images differ, or a difference is not certain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_runs import make_guessed_run, only_table
from conftest import Bakeoff

SEEDS = range(3)


def accuracy_pair(table: dict[str, Any]) -> dict[str, Any]:
    (pair,) = (pair for pair in table["pairs"] if pair["metric"] == "accuracy")
    return dict(pair)


def of_1000_images(root: Path, num_changed: int) -> None:
    """`cnn` and `vit` with the same predictions, but for some images in each run of `vit`."""
    labels = np.arange(1_000) % 10
    for seed in SEEDS:
        wrong = np.arange(1_000) >= 972  # by all runs; each has some more of its own
        wrong[500 + 100 * seed : 503 + 101 * seed] = True
        guesses = np.where(wrong, (labels + 1) % 10, labels)
        make_guessed_run(root, "cnn", seed, labels, guesses, 10)
        changed = guesses.copy()
        changed[seed * num_changed : (seed + 1) * num_changed] += 1
        make_guessed_run(root, "vit", seed, labels, changed % 10, 10)


def test_the_same_predictions_leave_a_third_of_a_point_open(bakeoff: Bakeoff, tmp_path: Path) -> None:
    of_1000_images(tmp_path, 0)
    table = only_table(bakeoff, tmp_path)
    pair = accuracy_pair(table)
    assert (pair["p"], pair["df"], pair["smallest_detectable_difference"]) == (1, None, None)
    assert -0.0037 < pair["low"] < -0.0036
    assert 0.0036 < pair["high"] < 0.0037
    (sentence,) = table["verdict"]
    assert sentence == (
        "vit and cnn: no proven difference; no test image tells them apart, "
        "yet on other images they could differ by up to 0.37 points."
    )


@pytest.mark.parametrize("num_changed", [1, 2])
def test_few_differing_images_are_a_tie_within_a_point_or_two(
    bakeoff: Bakeoff, tmp_path: Path, num_changed: int
) -> None:
    of_1000_images(tmp_path, num_changed)
    table = only_table(bakeoff, tmp_path)
    for pair in table["pairs"]:
        assert pair["p"] > 0.05
        assert pair["df"] >= 1
        assert pair["low"] < 0 < pair["high"]
        detectable = pair["smallest_detectable_difference"]
        assert detectable is None or 0 < detectable < 1
    pair = accuracy_pair(table)
    assert (pair["high"] - pair["low"]) / 2 < 0.015
    assert (pair["smallest_detectable_difference"] is None) == (num_changed == 1)
    assert [row["tie_group"] for row in table["settings"]] == ["a", "a"]
    (sentence,) = table["verdict"]
    assert sentence.startswith("vit and cnn: no proven difference; vit could be up to ")
    assert ("would have been found" in sentence) == (num_changed == 2)
    assert sentence.endswith(
        " worse. More images would help. They differ on too few images."
        if num_changed == 1
        else "About half of the uncertainty comes from the seed: more seeds and more images would both help."
    )


def test_five_differing_images_a_run_are_enough_for_students_t(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """Fourteen or fifteen images in all, all for the same side: the sign test has p 0.0001."""
    of_1000_images(tmp_path, 5)
    pair = accuracy_pair(only_table(bakeoff, tmp_path))
    assert pair["p"] < 0.05
    assert (pair["high"] - pair["low"]) / 2 < 0.01
    assert 0 < pair["smallest_detectable_difference"] < 1


def test_a_difference_that_few_images_carry_says_so(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """Nine images for one side, three of them in all runs: effectively 4.4."""
    labels = np.arange(1_000) % 10
    for seed in SEEDS:
        make_guessed_run(tmp_path, "cnn", seed, labels, labels, 10)
        wrong = (np.arange(1_000) < 9) & ((np.arange(1_000) % 3 == 0) | (np.arange(1_000) % 3 == seed))
        make_guessed_run(tmp_path, "vit", seed, labels, np.where(wrong, (labels + 1) % 10, labels), 10)
    table = only_table(bakeoff, tmp_path)
    pair = accuracy_pair(table)
    assert pair["p"] < 0.05
    assert pair["smallest_detectable_difference"] is None
    assert "Only few images decide this." in table["verdict"][0]
    assert "Too few" not in table["verdict"][0]


def test_a_perfect_setting_has_figures_that_agree(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels = np.arange(1_000) % 10
    for seed in SEEDS:
        make_guessed_run(tmp_path, "cnn", seed, labels, labels, 10)
        wrong = np.arange(1_000) < 12 + seed
        make_guessed_run(tmp_path, "vit", seed, labels, np.where(wrong, (labels + 1) % 10, labels), 10)
    table = only_table(bakeoff, tmp_path)
    pair = accuracy_pair(table)
    low, high = pair["low"] * 100, pair["high"] * 100
    assert table["verdict"][0].startswith(
        f"vit is worse than cnn by {pair['difference'] * 100:.2f} points (95 % interval: {low:.2f} to {high:.2f})."
    )
    metrics = table["settings"][0]["metrics"]
    for name in ("accuracy", "macro_f1"):
        assert metrics[name]["high"] == 1
        assert 0.99 < metrics[name]["low"] < 1
    assert metrics["nll"]["low"] < metrics["nll"]["mean"] < metrics["nll"]["high"]


def test_one_test_image_shows_nothing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for seed in SEEDS:
        make_guessed_run(tmp_path, "cnn", seed, np.array([3]), np.array([3]), 10)
        make_guessed_run(tmp_path, "vit", seed, np.array([3]), np.array([4]), 10)
    table = only_table(bakeoff, tmp_path)
    for pair in table["pairs"]:
        assert (pair["p"], pair["p_adjusted"]) == (1, 1)
        assert pair["low"] < 0 < pair["high"]
    (sentence,) = table["verdict"]
    assert sentence == (
        "vit and cnn: no proven difference; "
        "vit could be up to 95.00 points better or up to 100.00 points worse. "
        "More images would help. They differ on too few images."
    )
    assert any(note.startswith("vit: no better than guessing") for note in table["notes"])
    assert not any(note.startswith("cnn: no better than guessing") for note in table["notes"])


def test_a_difference_that_other_pairs_make_uncertain_is_probable(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """p is 0.0114: below 0.05, but not for each of six pairs."""
    labels = np.arange(300) % 3
    for model, first, last in (("a", 0, 0), ("b", 0, 1), ("c", 0, 8), ("d", 0, 2)):
        wrong = (np.arange(300) >= first) & (np.arange(300) < last)
        make_guessed_run(tmp_path, model, 0, labels, np.where(wrong, (labels + 1) % 3, labels), 3)
    table = only_table(bakeoff, tmp_path)
    pair = next(p for p in table["pairs"] if (p["a"], p["b"], p["metric"]) == ("a", "c", "accuracy"))
    assert pair["p"] < 0.05 < pair["p_adjusted"]
    assert pair["low"] > 0
    sentence = next(text for text in table["verdict"] if text.startswith("one network of c".capitalize()))
    assert sentence.startswith(
        f"One network of c against one network of a: probably worse, by {pair['low'] * 100:.2f} to "
        f"{pair['high'] * 100:.2f} points; not certain once all 6 pairs are counted; "
        f"only differences above about {pair['smallest_detectable_difference'] * 100:.1f} points "
        "would have been found (in 80 of 100 such comparisons)."
    )
