"""Which values a trial gets: a pure function of the seed, the trial's number and what is stored. No torch.

Optuna's samplers carry a state of their own from trial to trial, which a process that is killed loses: a new
one with the same seed would draw the same values again. So a sampler is made for each draw, with a seed of
(seed, study, number of the trial, key).
"""

import hashlib
import json
import math
import random
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from bakeoff.config.search_space import Choice, Interval, Space
from bakeoff.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

GRID, CMAES = "grid", "cmaes"
_LARGEST_GRID = 1_000_000


def check_sampler(name: str, space: Space, metrics: int) -> None:
    """Whether a sampler can search such a space.

    Raises:
        ConfigError: it cannot.
    """
    kinds = space.dimensions.values()
    if name == GRID:
        if space.size is None:
            key = next(key for key, kind in space.dimensions.items() if _is_continuous(kind))
            raise ConfigError(f"tune.sampler=grid: {key} is an interval; give its values, as choice(0.1,0.2)")
        if space.size > _LARGEST_GRID:
            raise ConfigError(f"tune.sampler=grid: {space.size:,} combinations; at most {_LARGEST_GRID:,}")
    if name == CMAES:
        if metrics > 1:
            raise ConfigError("tune.sampler=cmaes: searches for one metric; tpe takes several")
        if not any(isinstance(kind, Interval) for kind in kinds):
            raise ConfigError("tune.sampler=cmaes: needs an interval; for choices alone take tpe")


def _is_continuous(kind: Interval | Choice) -> bool:
    return isinstance(kind, Interval) and not kind.is_int


def distributions(space: Space) -> dict[str, "BaseDistribution"]:
    """The space in Optuna's words, in the order of its keys."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for key, kind in sorted(space.dimensions.items()):
        if isinstance(kind, Choice):
            found[key] = CategoricalDistribution([_stored(value) for value in kind.values])
        elif kind.is_int:
            found[key] = IntDistribution(int(kind.low), int(kind.high), log=kind.log)
        else:
            found[key] = FloatDistribution(kind.low, kind.high, log=kind.log)
    return found


def values_of(space: Space, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial as the space has them; keys that it does not have are left out."""
    found = {}
    for key, kind in sorted(space.dimensions.items()):
        if key in stored:
            value = stored[key]
            if isinstance(kind, Choice):
                value = next((one for one in kind.values if _stored(one) == value), value)
            found[key] = value
    return found


def _stored(value: Any) -> Any:
    """A choice as a storage takes it: a list is a text there."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def make_sampler(name: str, seed: int, study: str, space: Space) -> "BaseSampler":
    """One whose draws depend on what is stored alone.

    Args:
        name: `tune.sampler`.
        seed: of the search.
        study: its name.
        space: what is searched.
    """
    from optuna.samplers import BaseSampler

    def inner(number: int, key: str) -> BaseSampler:
        return _optunas(name, derived_seed(seed, study, number, key))

    grid = _grid(space, seed, study) if name == GRID else None

    class Stateless(BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            if grid is not None:
                return {}
            return inner(trial.number, "").infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            if grid is not None:
                return {}
            return inner(trial.number, "").sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            if grid is not None:
                return _stored(grid(trial.number)[param_name])
            own = inner(trial.number, param_name)
            return own.sample_independent(study, trial, param_name, param_distribution)

    return Stateless()


def derived_seed(seed: int, study: str, number: int, key: str) -> int:
    """32 bits that differ for each draw, and are the same ones after a restart."""
    text = json.dumps([seed, study, number, key])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _optunas(name: str, seed: int) -> "BaseSampler":
    from optuna import samplers

    if name == CMAES:
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if name == "random":
        return samplers.RandomSampler(seed=seed)
    return samplers.TPESampler(seed=seed)


def _grid(space: Space, seed: int, study: str) -> Callable[[int], dict[str, Any]]:
    """The combinations in a mixed order, so that a part of them is spread over all."""
    keys = sorted(space.dimensions)
    values = [_all_values(space.dimensions[key]) for key in keys]
    order = list(range(math.prod(map(len, values))))
    random.Random(derived_seed(seed, study, 0, "")).shuffle(order)  # noqa: S311 - no secret
    combinations = list(product(*values))
    return lambda number: dict(zip(keys, combinations[order[number % len(order)]], strict=True))


def _all_values(kind: Interval | Choice) -> list[Any]:
    if isinstance(kind, Choice):
        return list(kind.values)
    return list(range(int(kind.low), int(kind.high) + 1))
