"""The sentences of a race, from looks that a test makes."""

import numpy as np
import pytest

from bakeoff.comparison.statistics.race import Look, Rules, Values, look
from bakeoff.sweeps.race.told import Told, first_warnings, heading, listing, verdict_lines


def runs(good: float, seed: int, count: int = 3, images: int = 2000) -> Values:
    random = np.random.default_rng(seed)
    return (random.random((count, images)) < good).astype(float)


def looked(values: dict[str, Values], rules: Rules, number: int = 0) -> tuple[Look, Told, dict[str, float]]:
    num_val = next(iter(values.values())).shape[1]
    told = Told(rules, {name: f"model {name}" for name in values}, num_val, num_test=500)
    return look(values, [*values], number, rules), told, {name: one.mean() for name, one in values.items()}


def lines(found: Look, told: Told, means: dict[str, float], width: int | None = None) -> list[str]:
    return [f"{score}  {says}" for score, says, _ in listing(found, means, told, width)]


def test_a_drop_says_by_how_much_and_how_sure() -> None:
    found, told, means = looked({"a": runs(0.98, 0), "b": runs(0.5, 1)}, Rules((3, 5)))
    best, out = lines(found, told, means)
    assert best.endswith("%  best")
    assert "worse than model a (adjusted p below 0.0001, needed below 0.011)" in out
    assert f"{(means['a'] - means['b']) * 100:.2f} points" in out
    assert verdict_lines(found, told, 6, out_of_time=False) == [
        "winner after 3 seeds: model a; all others are out",
        "6 of 10 runs trained, 4 saved (40 %)",
    ]


def test_who_stays_is_told_its_chance_and_who_is_equal_that() -> None:
    values = {"a": runs(0.95, 0), "b": runs(0.95, 1)}
    found, told, means = looked(values, Rules((3, 12)))
    assert "more seeds decide it with a chance of" in lines(found, told, means)[1]
    found, told, means = looked(values, Rules((3, 12), margin=0.05))
    assert lines(found, told, means)[1].endswith("equal within 5.00 points")
    assert verdict_lines(found, told, 6, out_of_time=False)[0].startswith(
        "equal within 5.00 points after 3 seeds: "
    )


def test_an_undecided_race_says_what_would_help() -> None:
    first = (np.arange(400) % 20 > 0).astype(float)
    second = (np.arange(400) % 20 != 5).astype(float)
    values = {"a": np.tile(first, (3, 1)), "b": np.tile(second, (3, 1))}
    values["a"][0, 7], values["b"][1, 9] = 0, 0
    found, told, _ = looked(values, Rules((3,)))
    why, helps, limit, _ = verdict_lines(found, told, 6, out_of_time=False)
    assert why.startswith("undecided after 3 seeds between model ")
    assert why.endswith("all 3 seeds are trained")
    assert helps.startswith("more images would help")
    assert limit.startswith("on the 500 test images no number of seeds could show less than")


@pytest.mark.parametrize(
    ("images", "margin", "words"),
    [
        (40, None, "only 40 validation images: nothing will be dropped"),
        (400, 0.001, "400 validation images cannot show that two are equal within 0.10 points"),
    ],
)
def test_first_warnings(images: int, margin: float | None, words: str) -> None:
    values = {"a": runs(0.9, 0, images=images), "b": runs(0.9, 1, images=images)}
    found, told, _ = looked(values, Rules((3, 5), margin=margin))
    assert words in " ".join(first_warnings(found, told))


def test_too_few_differing_images_are_said() -> None:
    alike = np.ones((3, 500))
    other = alike.copy()
    other[:, 0] = 0
    found, told, _ = looked({"a": alike, "b": other}, Rules((3, 5)))
    assert "fewer than 5 validation images tell model a and model b apart" in " ".join(
        first_warnings(found, told)
    )


def test_failed_ones_have_no_score_and_nll_is_no_percentage() -> None:
    values = {"a": -runs(0.2, 0), "b": -runs(0.25, 1), "c": np.zeros((1, 2000))}
    found, told, means = looked(values, Rules((3, 5), metric="nll"))
    del means["c"]
    shown = lines(found, told, means)
    assert "%  best" not in shown[0]
    assert f"{-means['a']:.4f}" in shown[0]
    assert "failed  out: fewer than two of its runs have finished" in shown[-1]
    assert heading(found, 0, told) == "look 1 of 2: 3 seeds each, nll on 2,000 validation images"


def test_names_are_cut_to_the_terminal_and_cannot_act_on_it() -> None:
    values = {"a": runs(0.9, 0), "b": runs(0.9, 1)}
    rules = Rules((3, 5))
    told = Told(rules, {"a": "x" * 200, "b": "evil\x1b[31m"}, 2000)
    shown = listing(look(values, ["a", "b"], 0, rules), {n: v.mean() for n, v in values.items()}, told, 80)
    for score, says, _ in shown:
        assert len(score) <= 40
        assert "\x1b" not in score + says
