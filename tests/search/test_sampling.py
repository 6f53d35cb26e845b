"""Draws: a function of the seed, the trial's number and what is stored; the same after a restart."""

from typing import Any

import pytest

from bakeoff.config.search_space import Choice, Interval, Space
from bakeoff.config.studies import StudyPlan
from bakeoff.sweeps.search.metrics import METRICS
from bakeoff.sweeps.search.study import Rules, Study

pytestmark = pytest.mark.usefixtures("tune_extra")
SPACE = {
    "optim.lr": Interval(1e-4, 1e-1, log=True, is_int=False),
    "model.depth": Interval(1, 9, log=False, is_int=True),
    "model.act": Choice(("relu", None, True, 2.5)),
    "model.channels": Choice(([8, 16], [32])),
}


def study(sampler: str, storage: Any, seed: int = 0, name: str = "a", order: int = 1) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    space = {key: SPACE[key] for key in [*SPACE][::order] if sampler != "grid" or key != "optim.lr"}
    rules = Rules((METRICS["val.accuracy"],), sampler, "none", seed, 10)
    return Study(StudyPlan(name, None, (), Space(space)), rules, 40, storage)


def tried(sampler: str, count: int, *, restarts: bool = False, **named: Any) -> list[dict[str, Any]]:
    import optuna

    storage = optuna.storages.InMemoryStorage()
    found = study(sampler, storage, **named)
    for number in range(count):
        found = study(sampler, storage, **named) if restarts else found
        params = found.ask().trial.params
        found.tell(number, "finished", [params.get("optim.lr", 0.1) * params["model.depth"]], 1)
    return [stored.trial.params for stored in found.stored()]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "cmaes"])
def test_a_restart_and_the_order_of_keys_change_nothing(sampler: str) -> None:
    whole = tried(sampler, 14)
    assert tried(sampler, 14, restarts=True) == whole
    assert tried(sampler, 14, order=-1) == whole
    assert len({repr(params) for params in whole}) == 14  # a fixed seed alone would repeat itself
    assert tried(sampler, 14, seed=1) != whole
    assert tried(sampler, 14, name="b") != whole


def test_values_are_those_of_the_space() -> None:
    for params in tried("random", 30):
        assert type(params["model.depth"]) is int
        assert params["model.channels"] in ([8, 16], [32])
        assert params["model.act"] in SPACE["model.act"].values


def test_a_grid_visits_each_combination_once() -> None:
    import optuna

    storage = optuna.storages.InMemoryStorage()
    found = study("grid", storage)
    size = found.plan.space.size
    assert (size, found.budget, found.is_smaller) == (9 * 4 * 2, 40, False)
    seen = {repr(params) for params in tried("grid", 72)}
    assert len(seen) == 72


def test_tpe_learns_and_random_does_not() -> None:
    last = {name: [params["model.depth"] for params in tried(name, 40)][-10:] for name in ("tpe", "random")}
    assert sum(last["tpe"]) > sum(last["random"]) + 15
