"""Pairs that few images tell apart, and what is outside of the domain of Student's t."""

import dataclasses
import importlib.util
import itertools
import math
from pathlib import Path
from types import ModuleType

import jaxtyping
import numpy as np
import pytest
from scipy.special import stdtr, stdtrit
from scipy.stats import binom, t
from sklearn.metrics import f1_score

from bakeoff.comparison.statistics.noise import guard, noise_of, own_interval
from bakeoff.comparison.statistics.pairs import Difference, detectable, difference_of, table_df
from bakeoff.comparison.statistics.values import WORST_NLL, Metric, Outcomes, values_of

SCRIPT = Path(__file__).parents[2] / "scripts" / "study_few_images.py"


def pair_of(a: np.ndarray, b: np.ndarray, metric: Metric = "accuracy") -> Difference:
    """Of a table of two; values of images [runs, n]."""
    sides = guard([noise_of(np.asarray(side, dtype=np.float64)) for side in (a, b)])
    return difference_of(*sides, metric, table_df(sides))


def right(size: int, *wrong: int) -> np.ndarray:
    """One run that has all images right but some."""
    values = np.ones((1, size))
    values[0, list(wrong)] = 0
    return values


def test_missing_images_are_added_half_for_either_side() -> None:
    """Of 400 images each has one wrong that the other has right: three pseudo-images make five."""
    pair = pair_of(right(400, 0), right(400, 1))
    margin = t.ppf(0.975, 10) * math.sqrt(5 / 399 / 400)
    assert (pair.difference, pair.df) == (0, pytest.approx(10))
    assert (pair.low, pair.high) == (pytest.approx(-margin), pytest.approx(margin))
    assert margin == pytest.approx(
        0.01247, abs=1e-5
    )  # points: 1.25; Student's t alone gave 24 with three runs
    assert detectable(pair, 1) is None


def test_pseudo_images_are_as_large_as_the_largest_difference() -> None:
    a, b = np.full((1, 100), 0.1), np.full((1, 100), 0.1)
    b[0, 0] = 4.1
    pair = pair_of(a, b, "nll")
    squares = 4**2 - 100 * 0.04**2 + 4 * 4**2
    assert pair.variance_images == pytest.approx(squares / 99 / 100)
    fourths = 3.96**4 + 99 * 0.04**4 + 4 * 4**4
    assert pair.df == pytest.approx(2 * squares**2 / fourths, rel=1e-3)


@pytest.mark.parametrize("metric", ["accuracy", "nll"])
def test_where_enough_images_differ_it_is_the_two_noise_t_bit_for_bit(metric: Metric) -> None:
    """The formulas of the worked examples, without anything for few images."""
    random, num_judged = np.random.default_rng(5), 0
    for _ in range(300):
        size, counts = int(random.integers(50, 400)), random.integers(1, 6, 2)
        values = [(random.random((count, size)) < random.uniform(0.8, 1)).astype(float) for count in counts]
        if metric == "nll":
            values = [0.1 + 3 * (1 - one) * random.random(one.shape) for one in values]
        sides = guard([noise_of(one) for one in values])
        pair = difference_of(*sides, metric, table_df(sides))
        d = sides[0].image_means - sides[1].image_means
        difference = float(d.mean())
        squares = (d - difference) ** 2
        total, fourth = float(squares.sum()), float((squares * squares).sum())
        known = [side for side in sides if side.num_runs >= 2]
        images, seeds = total / (size - 1) / size, sum(side.seed_variance for side in known)
        if not total or 2 * total**2 / fourth < 10:
            continue
        parts = images**2 / (2 * total**2 / fourth)
        parts += sum((side.guarded_variance / side.num_runs) ** 2 / side.df for side in known)
        df = (images + seeds) ** 2 / parts
        if df < 1:
            continue
        if any(side.num_runs == 2 for side in known):
            df = min(df, max(4.0, 2 * table_df(sides)))
        margin = float(stdtrit(df, 0.975)) * math.sqrt(images + seeds)
        assert (pair.difference, pair.df, pair.low, pair.high) == (
            difference, df, difference - margin, difference + margin
        )  # fmt: skip
        assert pair.p == float(2 * stdtr(df, -abs(difference / math.sqrt(images + seeds))))
        num_judged += 1
    assert num_judged > 200


@pytest.mark.parametrize("num_runs", [1, 3])
@pytest.mark.parametrize("size", [100, 1_000, 10_000])
def test_widths_pass_the_border_of_five_differing_images_without_a_jump(size: int, num_runs: int) -> None:
    """From 1 to 10 images that one setting has wrong, in one run or in all that it has."""
    settings = np.ones((num_runs, size))
    widths = []
    for num_wrong in range(1, 11):
        worse = settings.copy()
        worse[:, :num_wrong] = 0
        pair = pair_of(settings, worse)
        widths.append((pair.high - pair.low) / 2 * size)
        assert pair.is_within_domain == (num_wrong >= 5)
        # Of five that all say the same the sign test has p 0.0625: too few, whatever the t says.
        assert num_wrong >= 5 or pair.p > 0.05
    assert all(0.8 < after / before < 1.25 for before, after in itertools.pairwise(widths)), widths


@pytest.mark.parametrize("size", [1, 2, 5, 6, 20])
@pytest.mark.parametrize("difference", [1.0, 1 / 3])
def test_unanimous_images_have_the_sign_test_and_an_interval_that_fits(size: int, difference: float) -> None:
    pair = pair_of(np.full((1, size), difference), np.zeros((1, size)))
    assert pair.p == min(1.0, 2 * 0.5**size)
    assert (pair.low > 0) == (pair.p < 0.05) == (size >= 6)
    assert pair.low == pytest.approx(difference * (2 * 0.025 ** (1 / size) - 1))


def test_one_image_shows_nothing_however_sure_its_runs_are() -> None:
    """Runs that scatter little on a single image: seed noise is known, image noise is not."""
    a, b = np.array([[0.1], [0.11], [0.12]]), np.array([[4.6], [4.61], [4.62]])
    pair = pair_of(a, b, "nll")
    assert pair.p > 0.05
    assert pair.low == -WORST_NLL
    assert pair.high > 0


def test_three_of_six_images_are_few_though_the_others_lie_as_far_from_the_mean() -> None:
    assert pair_of(right(6), right(6, 0, 1, 2)).p > 0.05


def test_equal_values_up_to_rounding_tell_nothing_apart() -> None:
    """The mean of three runs in another order."""
    runs = np.random.default_rng(0).random((3, 50))
    order = [2, 0, 1]
    assert (runs.mean(axis=0) != runs[order].mean(axis=0)).any()
    noise = noise_of(np.full((3, 50), 0.1 + 0.2))
    assert (noise.variance, noise.floor) == (0, 0)
    pair = pair_of(runs, runs[order], "nll")
    assert pair.difference == 0
    assert pair.p == 1
    assert pair.effective_images == 0


def test_copies_are_not_told_apart_by_the_scatter_of_their_seeds() -> None:
    runs = np.array([[1.0] * 90 + [0.0] * 10, [1.0] * 50 + [0.0] * 50])
    assert guard([noise_of(runs)] * 2)[0].seed_variance > 0
    pair = pair_of(runs, runs[::-1])
    assert (pair.p, pair.high) == (1, pytest.approx(1 - 0.025 ** (1 / 100)))


def test_degrees_of_freedom_are_at_least_one() -> None:
    """The same seeds on both sides: they scatter far more than their difference."""
    random = np.random.default_rng(1)
    runs = np.stack([np.ones(1_000)] * 3)
    for run, num_wrong in zip(runs, (25, 30, 35), strict=True):
        run[random.choice(1_000, num_wrong, replace=False)] = 0
    other = runs.copy()
    for image in range(8):
        other[image % 3, np.flatnonzero(runs.min(axis=0))[image]] = 0
    pair = pair_of(runs, other)
    assert pair.effective_images > 5
    assert pair.satterthwaite_df is not None
    assert pair.satterthwaite_df < 1
    assert pair.df == 1
    assert not pair.is_within_domain
    assert detectable(pair, 1) is None
    assert (pair.high - pair.low) / 2 < 0.025


def test_a_difference_larger_than_all_there_are_is_not_called_detectable() -> None:
    random = np.random.default_rng(2)
    a, b = (random.random((2, 30)) < 0.5).astype(float), (random.random((2, 30)) < 0.5).astype(float)
    pair = pair_of(a, b)
    assert detectable(pair, 1) is not None
    assert detectable(pair, 10**6) is None


def test_what_seeds_and_images_contribute_is_one_figure() -> None:
    """Whether seeds help more than images is whether their share is over half."""
    random = np.random.default_rng(3)
    seen = set()
    for _ in range(200):
        shifts = 0.03 * random.normal(size=(2, 3, 1)) * random.random()
        a, b = (random.random((2, 3, 200)) < 0.9 + shifts).astype(float)
        pair = pair_of(a, b)
        share = pair.seed_share
        assert share is not None
        assert 0 <= share <= 1
        assert pair.wants_seeds == (share > 0.5)
        if pair.variance_interplay <= pair.variance_images:
            assert pair.wants_seeds == (pair.variance_seeds > pair.variance_images - pair.variance_interplay)
        seen.add(pair.wants_seeds)
    assert seen == {True, False}


# A setting alone.


def test_an_nll_that_all_images_share_is_not_known_exactly() -> None:
    interval = own_interval(noise_of(np.full((3, 1_000), 0.1)), "nll")
    unseen = 1 - 0.025 ** (1 / 1_000)
    assert interval == (
        pytest.approx(0.1 * (1 - unseen)),
        pytest.approx(0.1 + unseen * (WORST_NLL - 0.1)),
    )


def test_the_interval_of_an_nll_stays_within_what_is_possible() -> None:
    """One image makes nearly all of it, in one of two runs: a factor of e to the power of hundreds."""
    values = np.full((2, 10_000), 1e-9)
    values[0, 0] = 13
    interval = own_interval(noise_of(values), "nll")
    assert interval is not None
    assert 0 <= interval[0] < values.mean() < interval[1] <= WORST_NLL
    # The guard may lend a seed noise beyond all bounds.
    noise = dataclasses.replace(noise_of(values), guarded_variance=1e6)
    assert own_interval(noise, "nll") == (pytest.approx(0, abs=1e-300), WORST_NLL)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_a_macro_f1_that_is_perfect_up_to_rounding_is_perfect(end: float) -> None:
    values = np.full((2, 40), end)
    values[:, ::2] += 4e-16
    values[1] -= 2e-16
    assert own_interval(noise_of(values), "macro_f1") == own_interval(
        noise_of(np.full((1, 40), end)), "macro_f1"
    )


# Macro-F1 of few images a class.


def test_of_few_images_a_class_each_is_left_out() -> None:
    random = np.random.default_rng(4)
    labels = (np.arange(30) % 10).astype(np.int16)
    guesses = np.where(random.random(30) < 0.6, labels, random.integers(-1, 10, 30)).astype(np.int16)
    run = Outcomes(labels, guesses, np.zeros(30), 10)

    def score(kept: np.ndarray) -> float:
        return float(
            f1_score(labels[kept], guesses[kept], labels=range(10), average="macro", zero_division=0)
        )

    images = np.arange(30)
    left_out = np.array([score(images != image) for image in images])
    values = values_of("macro_f1", run)
    assert values.mean() == pytest.approx(score(images >= 0))
    assert values - values.mean() == pytest.approx(-29 * (left_out - left_out.mean()))


# Level.


def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("study_few_images", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "size", "runs", "num_open"),
    [
        ("both", 6, (3, 3), 3), ("images", 10, (5, 5), 5), ("images", 20, (1, 3), 5),
        ("images", 400, (1, 1), 5), ("seeds", 400, (3, 3), 10),
    ],
)  # fmt: skip
def test_false_alarms_where_few_images_differ(
    monkeypatch: pytest.MonkeyPatch, kind: str, size: int, runs: tuple[int, int], num_open: float
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checking shapes takes most of the time
    module, tables = study(), 1_000
    found = module.study(module.Cell(kind, size, runs, num_open), tables, 1)
    limit = float(binom.ppf(0.999, tables, 0.05)) / tables
    assert {metric: rate for metric, (rate, _, _) in found.items() if rate > limit} == {}
