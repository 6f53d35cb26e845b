"""What a race decides: worked examples, degenerate rounds, and what must change nothing."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from raced import race, reordered
from raced_example import SETTINGS, TEST, VAL, values

from bakeoff.comparison.statistics.classical import holm, student_quantile
from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df
from bakeoff.comparison.statistics.planning import best_possible
from bakeoff.comparison.statistics.race import (
    Look,
    Rules,
    _dropped,
    chance_to_decide,
    look,
    margin_images,
    nearest,
)

LOOKS = (3, 5, 8, 12)
# seeds, setting: difference, low, high, p, Holm, chance without a margin, with 0.02, sqrt(L)
CONTENDERS = {
    (3, "A"): (-0.00444444444444, -0.024995482864, 0.0161065939751, 0.647017948964, 0.647017948964,
               0.122985305915, 0.730658043758, 0.00315439783236),
    (3, "C"): (-0.0333333333333, -0.0724773578313, 0.00581069116468, 0.080892114822, 0.242676344466,
               0.805208691238, 0.805307236793, 0.00507009950842),
    (5, "A"): (-0.00366666666667, -0.0178788201022, 0.0105454867689, 0.601168874023, 0.601168874023,
               0.015003481003, 0.851015055786, 0.00372583414873),
    (5, "C"): (-0.0283333333333, -0.0509679726548, -0.00569869401191, 0.0179881744512, 0.0539645233535,
               0.88829340525, 0.888366631243, 0.00535500951242),
    (8, "A"): (-0.00333333333333, -0.0167134487103, 0.0100467820436, 0.618170955782, 0.618170955782,
               0.00043657464383, 0.871418450786, 0.00452356664435),
}  # fmt: skip
DROPS = {3: ("D", -0.107222222222, 8.88568911638e-06), 8: ("C", -0.028125, 0.0104552917407)}
ON_TEST = {
    "AB": (-0.00025, 47.5319164685, 0.966789838992, 0.966789838992, -0.0122626622729, 0.0117626622729),
    "AC": (0.024, 44.0492186333, 0.00195056507008, 0.00419518517802, 0.00931937640703, 0.038680623593),
    "AD": (0.0992083333333, 38.2834324864, 5.81390468678e-10, 3.23412684559e-09, 0.0747361719685,
           0.123680494698),
    "BC": (0.02425, 40.433375565, 0.00139839505934, 0.00419518517802, 0.00997030955467, 0.0385296904453),
    "BD": (0.0994583333333, 37.7442587182, 5.39021140931e-10, 3.23412684559e-09, 0.075094720017,
           0.12382194665),
    "CD": (0.0752083333333, 35.5399111696, 3.35393767607e-07, 1.34157507043e-06, 0.0508100685505,
           0.0996065981162),
}  # fmt: skip
MARGIN = 0.02


def all_values(count: int = 12) -> dict[str, np.ndarray]:
    return values(dict.fromkeys(SETTINGS, count), VAL)


def test_levels_of_the_worked_example() -> None:
    levels = Rules(LOOKS).levels
    assert levels == pytest.approx(
        [0.00078125, 0.00283564814815, 0.0111979166667, 0.0351851851852], abs=1e-12
    )
    assert math.fsum(levels) == pytest.approx(0.05, abs=1e-15)


@pytest.mark.parametrize("margin", [None, MARGIN])
def test_worked_example(margin: float | None) -> None:
    raced = race(all_values(), Rules(LOOKS, margin=margin))
    assert {name: raced.seeds[name] for name in SETTINGS} == {"A": 8, "B": 8, "C": 8, "D": 3}
    for each in raced.looks:
        assert each.best == "B"
        for one in each.contenders:
            pair = one.pair
            chance, sqrt_lasting = one.chance, math.sqrt(pair.variance_lasting)
            found = (pair.difference, pair.low, pair.high, pair.p, one.p_adjusted, chance, sqrt_lasting)
            expected = list(CONTENDERS[each.seeds, one.setting])
            del expected[6 if margin is None else 5]
            assert found == pytest.approx(expected, abs=1e-9, rel=1e-9)
        dropped = [(drop.setting, drop.difference, drop.p_adjusted) for drop in each.drops]
        assert all(drop.by == "B" for drop in each.drops)
        expected_drops = [DROPS[each.seeds]] if each.seeds in DROPS else []
        assert [name for name, *_ in dropped] == [name for name, *_ in expected_drops]
        for (_, *found_drop), (_, *expected_drop) in zip(dropped, expected_drops, strict=True):
            assert found_drop == pytest.approx(expected_drop, rel=1e-9)
    last = raced.looks[-1]
    assert (last.verdict, last.bottleneck) == ("hopeless" if margin is None else "equal", "images")


def test_the_table_of_the_worked_example() -> None:
    """All runs of the race on the test images: the table is `compare`'s, unchanged."""
    seen = values({"A": 8, "B": 8, "C": 8, "D": 3}, TEST)
    noises = dict(zip(seen, guard([noise_of(runs) for runs in seen.values()]), strict=True))
    df = table_df(list(noises.values()))
    pairs = {
        a + b: difference_of(noises[a], noises[b], "accuracy", df)
        for a, b in itertools.combinations("ABCD", 2)
    }
    adjusted = dict(zip(pairs, holm([pair.p for pair in pairs.values()]), strict=True))
    for name, pair in pairs.items():
        found = (pair.difference, pair.df, pair.p, adjusted[name], pair.low, pair.high)
        assert found == pytest.approx(ON_TEST[name], abs=1e-9, rel=1e-9)
    equal = pairs["AB"]
    assert equal.df is not None
    assert abs(equal.difference) + student_quantile(0.95, equal.df) * math.sqrt(equal.variance) < MARGIN


def test_the_order_of_settings_and_of_images_changes_nothing() -> None:
    random = np.random.default_rng(0)
    rules = Rules(LOOKS, margin=MARGIN)
    expected = race(all_values(), rules)

    def facts(raced_looks: tuple[Look, ...]) -> list[tuple[object, ...]]:
        return [
            (one.seeds, one.best, {*one.drops}, {*one.contenders}, one.verdict, one.bottleneck)
            for one in raced_looks
        ]

    for _ in range(5):
        assert facts(race(reordered(all_values(), random), rules).looks) == facts(expected.looks)
    images = random.permutation(len(VAL))
    other = race({name: runs[:, images] for name, runs in all_values().items()}, rules)
    assert other.seeds == expected.seeds
    assert [one.verdict for one in other.looks] == [one.verdict for one in expected.looks]


def test_a_setting_without_two_runs_is_out_as_failed() -> None:
    seen = all_values(3) | {"D": all_values(3)["D"][:1]}
    found = look(seen, SETTINGS, 0, Rules(LOOKS))
    assert found.failed == ("D",)
    assert "D" not in {drop.setting for drop in found.drops}
    assert "D" not in found.survivors


def test_nobody_is_left_where_all_have_failed() -> None:
    found = look({"A": np.ones((1, 9)), "B": np.ones((0, 9))}, ("A", "B"), 0, Rules(LOOKS))
    assert (found.best, found.verdict, found.survivors, found.failed) == (None, None, (), ("A", "B"))


def test_no_image_tells_two_apart() -> None:
    alike = np.tile(np.arange(600) % 10 > 0, (3, 1)).astype(float)
    reach = 1 - 0.0125 ** (1 / 600)
    without = look({"A": alike, "B": alike}, ("A", "B"), 0, Rules(LOOKS))
    assert (without.best, without.contenders[0].chance, without.verdict) == ("A", 0.0, "hopeless")
    for margin, verdict in ((reach * 1.001, "equal"), (reach * 0.999, "hopeless")):
        found = look({"A": alike, "B": alike}, ("A", "B"), 0, Rules(LOOKS, margin=margin))
        assert found.verdict == verdict
    goes_on = look({"A": alike, "B": alike}, ("A", "B"), 0, Rules(LOOKS, hopeless=False))
    assert goes_on.verdict is None


def test_one_left_is_a_winner_and_two_surely_worse_go_at_once() -> None:
    random = np.random.default_rng(1)
    noise = (random.random((3, 3, 2000)) < 0.01).astype(float)
    rows = {name: np.abs((np.arange(2000) % 100 < good) - noise[place]) for place, (name, good) in
            enumerate({"A": 97, "B": 60, "C": 50}.items())}  # fmt: skip
    found = look(rows, ("A", "B", "C"), 0, Rules(LOOKS))
    assert {drop.setting for drop in found.drops} == {"B", "C"}
    assert all(drop.difference < 0 and drop.p_adjusted < found.level for drop in found.drops)
    assert (found.verdict, found.best, found.contenders) == ("winner", "A", ())


def test_nobody_is_dropped_whose_p_is_above_the_level() -> None:
    """The levels of early looks are far below 5 %: C of the example has p 0.0539 after 5 seeds."""
    at_five = race(all_values(), Rules(LOOKS)).looks[1]
    assert at_five.drops == ()
    assert race(all_values(), Rules((5,))).looks[0].drops != ()


def test_chance_at_the_last_look_is_certain() -> None:
    rules = Rules((3, 5))
    seen = all_values(5)
    last = look(seen, SETTINGS, 1, rules)
    for one in last.contenders:
        assert chance_to_decide(one.pair, 1, len(last.contenders), rules) in (0.0, 1.0)


def test_a_margin_out_of_reach_names_the_images_that_it_needs() -> None:
    rules = Rules(LOOKS, margin=0.005)
    pair = nearest(look(all_values(3), SETTINGS, 0, rules).contenders).pair
    count = margin_images(pair, 600, rules)
    assert count is not None
    assert count == math.ceil(600 * pair.variance_lasting * (2.241402727604947 / 0.005) ** 2)
    assert margin_images(pair, 600, Rules(LOOKS, margin=0.1)) is None


def test_minus_nll_decides_as_accuracy_does() -> None:
    """Larger is better for the race: the loss enters with its sign turned."""
    random = np.random.default_rng(2)
    rows = {name: -np.abs(random.normal(mean, 0.02, (3, 900))) for name, mean in (("A", 0.1), ("B", 0.15))}
    found = look(rows, ("A", "B"), 0, Rules(LOOKS, metric="nll"))
    assert [drop.setting for drop in found.drops] == ["B"]


def test_what_endless_seeds_show_on_the_test_images() -> None:
    pair = nearest(race(all_values(), Rules(LOOKS)).looks[-1].contenders).pair
    assert best_possible(pair.variance_lasting * 600 / 1000, 1) == pytest.approx(
        (1.959963984540054 + 0.841621233573) * 0.00452356664435 * math.sqrt(0.6), abs=1e-9
    )


def a_pair() -> Difference:
    return nearest(look(all_values(3), SETTINGS, 0, Rules(LOOKS)).contenders).pair


def test_who_is_dropped_makes_the_family_smaller_for_the_others() -> None:
    """After Holm over three pairs C stays; over the one that is left it does not."""
    pair = a_pair()
    p = {("A", "B"): 1e-6, ("A", "C"): 0.006, ("B", "C"): 0.5}
    pairs = {names: dataclasses.replace(pair, p=value, difference=0.1) for names, value in p.items()}
    first, second = _dropped(pairs, 0.01)
    assert (first.setting, second.setting, second.by, second.p_adjusted) == ("B", "C", "A", 0.006)
    assert [drop.setting for drop in _dropped(pairs, 0.005)] == ["B"]


def test_a_race_is_equal_only_if_all_that_are_left_are() -> None:
    alike = np.tile(np.arange(2000) % 50 > 0, (3, 1)).astype(float)
    random = np.random.default_rng(0)
    noisy = np.stack([(random.random(2000) < good).astype(float) for good in (0.99, 0.9, 0.94)])
    found = look({"A": alike, "B": alike, "C": noisy}, ("A", "B", "C"), 0, Rules(LOOKS, margin=0.01))
    assert {one.setting: one.is_equal for one in found.contenders} == {"B": True, "C": False}
    assert found.verdict is None


def test_equal_means_are_not_decided_by_the_order_of_names() -> None:
    random = np.random.default_rng(3)
    first = (random.random((3, 200)) < 0.9).astype(float)
    second = first[:, random.permutation(200)]  # the same scores, other images
    third = (random.random((3, 200)) < 0.89).astype(float)
    rules = Rules(LOOKS, margin=0.02)
    rows = {"A": first, "B": second, "C": third}
    looks = [
        look({name: rows[name] for name in order}, order, 0, rules) for order in itertools.permutations(rows)
    ]
    assert {(one.best, one.verdict, one.bottleneck, frozenset(one.contenders)) for one in looks} == {
        (looks[0].best, looks[0].verdict, looks[0].bottleneck, frozenset(looks[0].contenders))
    }


def test_a_chance_is_never_above_one() -> None:
    pair = dataclasses.replace(a_pair(), difference=-0.03)
    chances = [
        chance_to_decide(pair, 0, 1, Rules(LOOKS, margin=margin)) for margin in np.linspace(0.001, 0.3, 50)
    ]
    assert max(chances) == 1.0
    assert min(chances) >= 0
