"""What makes two runs the same run, and the same setting."""

import copy
import functools
from typing import Any

import pytest

from bakeoff.config.canonical import canonical_json
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.experiment.identity import identity, setting


@functools.cache
def composed(*overrides: str) -> dict[str, Any]:
    return expand(parse_arguments(overrides))[0][0].values


def values(*overrides: str) -> dict[str, Any]:
    """A config to change; many tests begin with the same one."""
    return copy.deepcopy(composed(*overrides))


def test_canonical_json_is_one_text_for_one_meaning() -> None:
    assert (
        canonical_json({"b": [1.0, 2.5], "a": {"d": None, "c": True}})
        == '{"a":{"c":true,"d":null},"b":[1,2.5]}'
    )
    assert canonical_json({"x": 1e20}) == '{"x":100000000000000000000}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("nan")})


@pytest.mark.parametrize(
    "override",
    ["output_dir=/x", "sweep.name=s", "data.root=/y", "data.residency=host", "optim.lr=0.0100",
     "trainer.threads=1"],
)  # fmt: skip
def test_where_things_lie_makes_no_difference(override: str) -> None:
    assert identity(values(override), "d") == identity(values(), "d")


@pytest.mark.parametrize("key", ["fit", "max_megapixels"])
def test_keys_of_pictures_are_no_part_of_other_data(key: str) -> None:
    """They are younger than many runs, and a table must not part these from new ones."""
    for name, counts in (("digits", False), ("image_folder", True)):
        given = values(f"data={name}")
        older = copy.deepcopy(given)
        del older["data"][key]
        for of in (identity, setting):
            assert (of(given, "d") != of(older, "d")) == counts


def test_a_limit_that_is_not_set_is_no_part_and_a_set_one_is() -> None:
    """Runs from before there was such a key share a row with those that leave it at null."""
    older = values()
    del older["trainer"]["max_seconds"]
    for of in (identity, setting):
        assert of(older, "d") == of(values(), "d") == of(values("trainer.max_seconds=null"), "d")
        budgets = [of(values(f"trainer.max_seconds={seconds}"), "d") for seconds in (60, 60.0, 120)]
        assert budgets[0] == budgets[1]
        assert len({of(older, "d"), *budgets}) == 3


@pytest.mark.parametrize(
    "key",
    ["output_dir", "sweep", "launcher.name", "tracker", "tune.trials", "race.looks", "data.title",
     "trainer.threads", "trainer.eval_batch_size", "trainer.processes", "trainer.checkpoint_every_seconds",
     "trainer.checkpoint_anything", "trainer.keep_checkpoints"],
)  # fmt: skip
def test_no_part_of_an_identity_now_or_later(key: str) -> None:
    *parents, last = key.split(".")
    for value in ("x", {"y": 1}):
        changed = values()
        section = changed
        for name in parents:
            section = section.setdefault(name, {})
        section[last] = value
        assert identity(changed, "d") == identity(values(), "d")
        assert setting(changed, "d") == setting(values(), "d")


@pytest.mark.parametrize("key", ["trainer.max_seconds", "trainer.check", "data.new", "new"])
def test_any_key_that_is_not_in_the_table_is_a_part(key: str) -> None:
    changed = values()
    *parents, last = key.split(".")
    (changed[parents[0]] if parents else changed)[last] = 7
    assert identity(changed, "d") != identity(values(), "d")


def test_room_for_kept_features_makes_no_difference() -> None:
    line = ("model=shufflenet_small", "model.weights=none")
    assert identity(values(*line, "model.cache_bytes=1"), "d") == identity(values(*line), "d")


@pytest.mark.parametrize(
    "override",
    ["optim.lr=0.1", "model.channels=[1]", "trainer.device=cpu", "data.val_fraction=0.2",
     "data.augment.shift_pixels=1", "trainer.deterministic=true"],
)  # fmt: skip
def test_every_other_key_does(override: str) -> None:
    assert identity(values(override), "d") != identity(values(), "d")
    assert setting(values(override), "d") != setting(values(), "d")


def test_a_setting_is_an_identity_without_seed_and_code() -> None:
    assert identity(values("seed=1"), "d") != identity(values("seed=2"), "d")
    assert setting(values("seed=1"), "d") == setting(values("seed=2"), "d")
    assert identity(values(), "d") != identity(values(), "e")
    assert setting(values(), "d") != setting(values(), "e")


def test_nothing_is_changed_by_asking() -> None:
    before = values()
    after = copy.deepcopy(before)
    identity(after, "d")
    setting(after, "d")
    assert after == before
