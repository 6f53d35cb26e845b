"""Which runs are called no better than guessing: a guess knows how frequent the classes are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from conftest import Bakeoff
from run_directories import make_run

SEEDS = range(3)


def compared(bakeoff: Bakeoff, root: Path) -> dict[str, Any]:
    code, out, _ = bakeoff("compare", str(root), "--format", "json")
    assert code == 0
    (table,) = json.loads(out)["tables"]
    return dict(table)


def made(
    root: Path, model: str, seed: int, labels: np.ndarray, guesses: np.ndarray, num_classes: int
) -> None:
    rows = np.full((len(labels), num_classes), 0.09 / (num_classes - 1), dtype=np.float32)
    rows[np.arange(len(labels)), guesses] = 0.91
    make_run(root / f"{model}{seed}", seed, model, model=model, stored=(labels, rows))


def test_half_right_of_two_classes_is_guessing(bakeoff: Bakeoff, tmp_path: Path) -> None:
    random, labels = np.random.default_rng(1), np.arange(300) % 2
    for seed in SEEDS:
        made(tmp_path, "cnn", seed, labels, np.where(random.random(300) < 0.1, 1 - labels, labels), 2)
        made(tmp_path, "vit", seed, labels, np.where(random.random(300) < 0.5, 1 - labels, labels), 2)
    guessing = [note for note in compared(bakeoff, tmp_path)["notes"] if "guessing" in note]
    assert guessing == ["vit: no better than guessing with seed 0, 1, 2 (guessing has 50.0 % right)"]


def test_always_the_frequent_class_is_guessing_and_92_percent_may_be_more(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    """`vit` is little above the 90 % of the frequent class; its macro-F1 says that it has learned."""
    random, labels = np.random.default_rng(2), (np.arange(400) % 10 == 0).astype(int)
    for seed in SEEDS:
        made(tmp_path, "cnn", seed, labels, np.zeros(400, dtype=int), 2)
        made(tmp_path, "vit", seed, labels, np.where(random.random(400) < 0.08, 1 - labels, labels), 2)
    (note,) = (note for note in compared(bakeoff, tmp_path)["notes"] if "guessing" in note)
    assert note == (
        "cnn: no better than guessing with seed 0, 1, 2 "
        "(always saying 0 has 90.0 % right; classes are uneven, so look at macro-F1)"
    )


def test_sixty_percent_of_two_even_classes_is_more_than_luck(bakeoff: Bakeoff, tmp_path: Path) -> None:
    labels = np.arange(300) % 2
    made(tmp_path, "a", 0, labels, np.where(np.arange(300) < 120, 1 - labels, labels), 2)
    assert not any("guessing" in note for note in compared(bakeoff, tmp_path)["notes"])


def test_ninety_percent_of_three_classes_that_are_always_one_is_guessing(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    labels = np.where(np.arange(300) < 270, 1, np.arange(300) % 3)
    made(tmp_path, "a", 0, labels, np.ones(300, dtype=int), 3)
    (note,) = (note for note in compared(bakeoff, tmp_path)["notes"] if "guessing" in note)
    assert "always saying 1 has 93.3 % right" in note
