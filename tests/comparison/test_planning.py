"""How many runs or images a difference needs."""

import dataclasses

import numpy as np
import pytest
from raced_example import SETTINGS, VAL, values

from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, shown_with_power, table_df
from bakeoff.comparison.statistics.planning import Need, best_possible, needed


def pair_of_example() -> Difference:
    settings = values(dict.fromkeys(SETTINGS, 3), VAL)
    noises = dict(zip(settings, guard([noise_of(one) for one in settings.values()]), strict=True))
    return difference_of(noises["A"], noises["C"], "accuracy", table_df(list(noises.values())))


def need(pair: Difference, num_pairs: int, difference: float, num_images: int = 600) -> Need:
    found = needed(pair, num_images, num_pairs, difference)
    assert found is not None
    return found


@pytest.mark.parametrize(("num_pairs", "expected"), [(1, [4, 10, 33, None]), (6, [6, 17, 210, None])])
def test_worked_example(num_pairs: int, expected: list[int | None]) -> None:
    pair = pair_of_example()
    assert [need(pair, num_pairs, points).runs for points in (0.05, 0.03, 0.02, 0.015)] == expected


@pytest.mark.parametrize(("num_pairs", "expected"), [(1, 0.0118568083449), (6, 0.0147274665269)])
def test_what_endless_runs_show_on_the_test_images_of_the_worked_example(
    num_pairs: int, expected: float
) -> None:
    on_test = pair_of_example().variance_lasting * 600 / 1000
    assert best_possible(on_test, num_pairs) == pytest.approx(expected, abs=1e-12)


def test_so_many_images_with_endless_runs_show_just_that() -> None:
    pair = pair_of_example()
    found = need(pair, 1, 0.01)
    assert found.runs is None
    assert found.images is not None
    assert best_possible(pair.variance_lasting * 600 / found.images, 1) <= 0.01
    assert best_possible(pair.variance_lasting * 600 / (found.images - 1), 1) > 0.01


def test_needed_runs_are_enough_and_one_fewer_is_not() -> None:
    pair = pair_of_example()

    def shown(runs: int) -> float:
        seeds = pair.variance_of_a_run / runs
        variance = pair.variance_lasting + seeds
        df = max(2.0, 2 * (runs - 1) * (variance / seeds) ** 2)
        return shown_with_power(variance, df, 3) * (1 + 1 / df)

    for difference in np.linspace(0.02, 0.5, 25):
        runs = need(pair, 3, float(difference)).runs
        assert runs is not None
        assert shown(runs) <= difference
        assert runs == 2 or shown(runs - 1) > difference
    assert runs == 2


def test_larger_differences_never_need_more() -> None:
    pair = pair_of_example()
    runs = [need(pair, 3, float(points)).runs or 10**9 for points in np.linspace(0.01, 0.3, 40)]
    assert runs == sorted(runs, reverse=True)


def test_unequal_numbers_of_runs_are_counted_for_each_side() -> None:
    settings = values({"A": 3, "C": 6}, VAL)
    a, c = guard([noise_of(one) for one in settings.values()])
    pair = difference_of(a, c, "accuracy", 7)
    expected = sum(3 * n.seed_variance + n.floor for n in [a]) + 6 * c.seed_variance + c.floor
    assert pair.variance_of_a_run == pytest.approx(expected, rel=1e-12)
    assert need(pair, 1, 0.05).runs is not None


def test_nothing_is_said_of_a_pair_without_noise() -> None:
    pair = dataclasses.replace(pair_of_example(), variance_of_a_run=0.0)
    assert needed(pair, 600, 1, 0.05) is None
