"""Do the statistics keep what they promise? Judged on simulated runs, of which the truth is known."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from simulation import Architecture, Images, called_real, pairs_of, runs_that_err_at_random, true_accuracy

from bakeoff.comparison.statistics.classical import holm
from bakeoff.comparison.statistics.noise import guard, noise_of, own_interval
from bakeoff.comparison.statistics.pairs import detectable
from bakeoff.comparison.statistics.values import METRICS, Metric, Outcomes, values_of

pytestmark = pytest.mark.slow
TABLES = 2_000
HIGHEST = 0.066  # the 99.9 % binomial limit of 5 % in 2,000 tables
Settings = list[list[Outcomes]]


def alarms(make: Callable[[np.random.Generator], Settings], seed: int) -> dict[Metric, float]:
    """Share of tables of two settings whose difference is called real, by metric."""
    random = np.random.default_rng(seed)
    counts = dict.fromkeys(METRICS, 0)
    for _ in range(TABLES):
        settings = make(random)
        for metric in METRICS:
            counts[metric] += called_real(settings, metric)
    shares = {metric: count / TABLES for metric, count in counts.items()}
    print(f"seed {seed}: called real {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}")
    return shares


def two(
    architectures: Sequence[Architecture], runs: Sequence[int], *, same: bool, count: int = 2_000
) -> Callable[[np.random.Generator], Settings]:
    """Two settings, `same`: of one difficulty, so one setting twice."""

    def make(random: np.random.Generator) -> Settings:
        images = Images(random, count)
        first = images.difficulty()
        difficulties = (first, first if same else images.difficulty())
        return [
            images.runs(architecture, difficulty, number)
            for architecture, difficulty, number in zip(architectures, difficulties, runs, strict=True)
        ]

    return make


@pytest.mark.parametrize(
    ("name", "theta", "sigma", "runs", "same", "count", "seed"),
    [
        ("A", 11.4, 0.6, (3, 3), True, 2_000, 101),
        ("B", 11.4, 0.6, (2, 2), True, 2_000, 102),
        ("C", 11.4, 0.0, (3, 3), False, 2_000, 103),
        ("D", 11.4, 0.0, (10, 10), False, 2_000, 104),
        ("E", 9.7, 0.2, (5, 5), False, 2_000, 105),
        ("F", 16.2, 0.2, (3, 3), False, 400, 106),
        ("G", 9.7, 0.2, (2, 5), False, 2_000, 107),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_false_alarms_of_equal_settings(
    name: str, theta: float, sigma: float, runs: tuple[int, int], same: bool, count: int, seed: int
) -> None:
    """Also coverage: the interval misses the true difference, 0, exactly where there is an alarm."""
    architecture = Architecture(theta, sigma)
    shares = alarms(two([architecture] * 2, runs, same=same, count=count), seed)
    assert max(shares.values()) <= HIGHEST
    if name == "D":  # many runs: no reason to be conservative
        assert min(shares.values()) >= 0.025


def test_runs_that_err_at_random_are_as_good_as_runs_that_always_err_alike() -> None:
    def make(random: np.random.Generator) -> Settings:
        images = Images(random, 2_000)
        return [runs_that_err_at_random(images, 5, same_images=same) for same in (True, False)]

    assert max(alarms(make, 109).values()) <= HIGHEST


def test_power_where_settings_differ() -> None:
    better, worse = Architecture(12.1, 0.2), Architecture(10.7, 0.2)
    shares = alarms(two([worse, better], (3, 3), same=False), 108)
    assert shares["accuracy"] >= 0.72
    assert shares["macro_f1"] >= 0.72
    assert shares["nll"] >= 0.69


def test_power_at_the_stated_difference() -> None:
    """The difference that a table calls detectable is found in about 80 of 100 such tables."""
    first = Architecture(11.4, 0.2)
    random = np.random.default_rng(110)
    stated = [
        detectable(pairs_of(two([first] * 2, (3, 3), same=False)(random), "accuracy")[0], 1)
        for _ in range(400)
    ]
    wanted = true_accuracy(first) - float(np.median([value for value in stated if value is not None]))
    low, high = 5.0, first.theta
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if true_accuracy(Architecture(middle, 0.2), 20_000) < wanted else (low, middle)
        )
    worse = Architecture(low, 0.2)
    share = alarms(two([first, worse], (3, 3), same=False), 111)["accuracy"]
    print(f"true difference {true_accuracy(first) - true_accuracy(worse):.2%}, found in {share:.1%}")
    assert 0.70 <= share <= 0.90


@pytest.mark.parametrize(
    ("runs", "seed"), [((3,) * 10, 201), ((2, 3, 10, 5, 2, 3, 10, 5, 2, 3), 203)], ids=["S1", "S2"]
)
def test_any_false_alarm_among_ten_settings(runs: tuple[int, ...], seed: int) -> None:
    """After Holm, in 1,000 tables of 10,000 images."""
    random, architecture, errors = np.random.default_rng(seed), Architecture(11.4, 0.6), 0
    for _ in range(1_000):
        images = Images(random, 10_000)
        settings = [images.runs(architecture, images.difficulty(), number) for number in runs]
        errors += min(holm([pair.p for pair in pairs_of(settings, "accuracy")])) < 0.05
    print(f"seed {seed}: a false alarm in {errors / 1_000:.1%} of the tables")
    assert errors <= 73


@pytest.mark.parametrize("num_runs", [1, 2, 3, 5, 10])
def test_a_settings_own_interval_covers_its_truth(num_runs: int) -> None:
    """Over new seeds and new images; of one run, that network's accuracy on new images."""
    # Of one network the shift is a part of the truth, so it has none here.
    architecture = Architecture(11.4, 0.2 if num_runs > 1 else 0.0)
    random, truth, covered = np.random.default_rng(300 + num_runs), true_accuracy(architecture), 0
    for _ in range(TABLES):
        images = Images(random, 2_000)
        runs = images.runs(architecture, images.difficulty(), num_runs)
        (noise,) = guard([noise_of(np.stack([values_of("accuracy", run) for run in runs]))])
        interval = own_interval(noise, "accuracy")
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    print(f"{num_runs} runs: {covered / TABLES:.1%} covered")
    assert covered / TABLES >= 0.93
