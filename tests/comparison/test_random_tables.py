"""Whatever a table holds: figures are finite, possible, the same from both sides, and fit one another."""

import itertools
import math

import jaxtyping
import numpy as np
import pytest

from bakeoff.comparison.statistics.classical import benjamini_hochberg, holm, mcnemar_mid_p
from bakeoff.comparison.statistics.letters import tie_letters
from bakeoff.comparison.statistics.noise import Noise, guard, noise_of, own_interval
from bakeoff.comparison.statistics.pairs import (
    LARGEST,
    Difference,
    detectable,
    difference_of,
    recall_differences,
    recall_noises,
    table_df,
)
from bakeoff.comparison.statistics.values import METRICS, WORST_NLL, Metric, Outcomes, outcomes, values_of

HIGHEST = {"accuracy": 1.0, "macro_f1": 1.0, "nll": math.inf}
NEAR = 1e-12


def random_table(random: np.random.Generator) -> tuple[np.ndarray, int, list[list[Outcomes]]]:
    """Labels, number of classes, and 2 to 4 settings of 1 to 6 runs each."""
    size = int(random.integers(1, 51)) if random.random() < 0.8 else int(random.integers(51, 600))
    num_classes = int(random.choice([2, 3, 10, 40, 200]))
    known = random.choice(num_classes, int(random.integers(1, num_classes + 1)), replace=False)
    labels = random.choice(known, size)  # perhaps not all classes
    base = wrong_somewhere(random, labels, num_classes, random.choice([0, 0.02, 0.3]))
    settings = []
    for _ in range(int(random.choice([2, 2, 3, 4]))):
        num_runs, kind = int(random.integers(1, 7)), random.choice(KINDS)
        runs = [guesses_of(random, str(kind), base, labels, num_classes) for _ in range(num_runs)]
        if kind == "identical":
            runs = runs[:1] * num_runs
        sure = random.choice([0.3, 0.9, 1.0])
        settings.append([outcomes_of(labels, guesses, num_classes, sure) for guesses in runs])
    return labels, num_classes, settings


KINDS = ("base", "few", "few", "identical", "random", "right", "wrong", "one class", "silent")


def wrong_somewhere(
    random: np.random.Generator, labels: np.ndarray, num_classes: int, share: float
) -> np.ndarray:
    return np.where(random.random(len(labels)) < share, random.integers(0, num_classes, len(labels)), labels)


def guesses_of(
    random: np.random.Generator, kind: str, base: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """-1 for no answer."""
    if kind in ("few", "identical"):
        return wrong_somewhere(random, base, num_classes, min(1.0, 3 / len(labels)))
    if kind == "random":
        return random.integers(0, num_classes, len(labels))
    if kind == "one class":
        return np.full(len(labels), labels[0])
    if kind == "silent":
        return np.where(random.random(len(labels)) < 0.3, -1, base)
    return {"base": base, "right": labels, "wrong": (labels + 1) % num_classes}[kind]


def outcomes_of(labels: np.ndarray, guesses: np.ndarray, num_classes: int, sure: float) -> Outcomes:
    rows = np.full((len(labels), num_classes), (1 - sure) / num_classes)
    answered = np.flatnonzero(guesses >= 0)
    rows[answered, guesses[answered]] += sure
    rows[guesses < 0] = 0
    return outcomes(np.arange(len(labels)), labels, rows)


def check_pair(one: Noise, other: Noise, metric: Metric, df_of_table: float, num_pairs: int) -> Difference:
    pair = difference_of(one, other, metric, df_of_table)
    largest = LARGEST[metric]
    assert np.isfinite([pair.difference, pair.low, pair.high, pair.p]).all()
    assert np.isfinite([pair.variance_images, pair.variance_seeds, pair.variance_interplay]).all()
    assert -largest <= pair.low <= pair.difference + NEAR
    assert pair.difference - NEAR <= pair.high <= largest
    assert 0 <= pair.p <= 1
    assert (pair.p < 0.05) == (pair.low > 0 or pair.high < 0)
    assert pair.df is None or pair.df >= 1
    assert pair.seed_share is None or 0 <= pair.seed_share <= 1
    smallest = detectable(pair, num_pairs)
    assert smallest is None or 0 < smallest <= largest
    if metric != "nll" and pair.effective_images < 5:
        assert smallest is None
    mirrored = difference_of(other, one, metric, df_of_table)
    assert (mirrored.difference, mirrored.low, mirrored.high) == (-pair.difference, -pair.high, -pair.low)
    assert (mirrored.p, mirrored.df, mirrored.seed_share) == (pair.p, pair.df, pair.seed_share)
    assert detectable(mirrored, num_pairs) == smallest
    return pair


def check_own(noise: Noise, metric: Metric) -> None:
    interval = own_interval(noise, metric)
    if interval is None:
        assert (metric, noise.mean) == ("nll", 0)
        return
    low, high = interval
    assert 0 <= low <= noise.mean + NEAR
    assert noise.mean - NEAR <= high <= (WORST_NLL + NEAR if metric == "nll" else 1)


def check_recalls(labels: np.ndarray, num_classes: int, settings: list[list[Outcomes]]) -> None:
    rights = [np.stack([values_of("accuracy", run) for run in runs]) for runs in (settings[0], settings[1])]
    recalls = recall_differences(*(recall_noises(labels, right, num_classes) for right in rights))
    for recall in recalls.values():
        assert 0 <= recall.p <= 1
        assert -1 <= recall.difference <= 1
        assert recall.df is None or recall.df >= 1
    if recalls:
        adjusted = benjamini_hochberg([recall.p for recall in recalls.values()])
        assert all(0 <= p <= 1 for p in adjusted)


def check_table(random: np.random.Generator) -> None:
    labels, num_classes, settings = random_table(random)
    names = "abcd"[: len(settings)]
    combinations = list(itertools.combinations(range(len(settings)), 2))
    for metric in METRICS:
        noises = guard([noise_of(np.stack([values_of(metric, run) for run in runs])) for runs in settings])
        for noise in noises:
            assert 0 <= noise.mean <= HIGHEST[metric] + NEAR
            check_own(noise, metric)
        pairs = [
            check_pair(noises[i], noises[k], metric, table_df(noises), len(combinations))
            for i, k in combinations
        ]
        adjusted = holm([pair.p for pair in pairs])
        assert all(pair.p <= p <= 1 for pair, p in zip(pairs, adjusted, strict=True))
        differing = [
            (names[i], names[k]) for (i, k), p in zip(combinations, adjusted, strict=True) if p < 0.05
        ]
        letters = tie_letters(names, differing)
        for i, k in combinations:
            is_tied = bool(set(letters[names[i]]) & set(letters[names[k]]))
            assert is_tied == ((names[i], names[k]) not in differing)
    check_recalls(labels, num_classes, settings)
    one, other = (runs[0].guesses == labels for runs in settings[:2])
    assert 0 <= mcnemar_mid_p(int((one & ~other).sum()), int((other & ~one).sum())) <= 1


def check_tables(numbers: range) -> None:
    for number in numbers:
        try:
            check_table(np.random.default_rng([16, number]))
        except Exception as error:
            raise AssertionError(f"table {number}: {error}") from error


def test_figures_of_some_random_tables() -> None:
    with np.errstate(all="raise", under="ignore"):
        check_tables(range(60))


@pytest.mark.slow
def test_figures_of_5_000_random_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checking shapes takes most of the time
    with np.errstate(all="raise", under="ignore"):
        check_tables(range(5_000))
