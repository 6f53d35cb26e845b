"""A race between settings: after each look, who is surely worse, and whether it is decided.

Pure functions of values per image of a validation set, larger is better. Each look gives chance another try,
so the level of 5 % is shared out over the looks, little of it early: whoever is dropped after few seeds would
have too few on the test images. docs/race.md explains the steps; simulated in tests/comparison.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy.special import ndtr, ndtri

from bakeoff.comparison.statistics import ALPHA
from bakeoff.comparison.statistics.classical import holm, student_quantile
from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df
from bakeoff.comparison.statistics.values import Metric

MAY_DECIDE = 0.05  # least chance that the seeds to come decide something; below it they are not worth it
LEAST_RUNS = 2  # of a setting, for its noise to be known at all
Values = Float64[np.ndarray, "runs n"]
Verdict = Literal["winner", "equal", "budget", "hopeless"]


@dataclass(frozen=True)
class Rules:
    """Of a race, fixed before it begins."""

    looks: tuple[int, ...]  # numbers of seeds
    metric: Metric = "accuracy"
    margin: float | None = None  # a difference below it does not matter, in the metric's unit
    hopeless: bool = True  # whether to stop when more seeds would hardly decide it

    @property
    def levels(self) -> tuple[float, ...]:
        """Of each look's drops; their sum is 5 % (Kim and DeMets 1987, power 3)."""
        spent = [(seeds / self.looks[-1]) ** 3 for seeds in (0, *self.looks)]
        return tuple(ALPHA * (later - earlier) for earlier, later in pairwise(spent))

    @property
    def equality_quantile(self) -> float:
        """Of Student's t, for a claim that two settings are equal at one of the looks."""
        return 1 - ALPHA / len(self.looks)


@dataclass(frozen=True)
class Drop:
    """A setting that gets no more seeds. A decision about seeds, and no finding."""

    setting: str
    by: str  # the setting that it is most surely worse than; empty if its runs failed
    difference: float  # to that one, below 0
    p_adjusted: float  # Holm over the pairs of survivors


@dataclass(frozen=True)
class Contender:
    """A survivor beside the best one."""

    setting: str
    pair: Difference  # minus the best
    p_adjusted: float
    chance: float  # that the last look drops one of the two, or calls them equal; 0..1
    is_equal: bool  # surely within the margin


@dataclass(frozen=True)
class Look:
    """What a race has seen after a round, and what it decided."""

    seeds: int
    level: float
    drops: tuple[Drop, ...]
    failed: tuple[str, ...]  # settings with fewer than two runs
    best: str | None  # None: no setting is left
    contenders: tuple[Contender, ...]  # the other survivors, in the order of the settings
    verdict: Verdict | None  # None: it goes on, or nobody is left
    bottleneck: Literal["images", "seeds"] | None  # of the nearest contender; None without one

    @property
    def survivors(self) -> tuple[str, ...]:
        """Those that get more seeds; the best one first."""
        return (*([] if self.best is None else [self.best]), *(one.setting for one in self.contenders))


def look(values: Mapping[str, Values], survivors: Sequence[str], number: int, rules: Rules) -> Look:
    """Judges a round.

    Args:
        values: of each setting, dropped ones too, the runs that it has; larger is better.
        survivors: those that are still in.
        number: of the look, from 0.
        rules: of the race.
    """
    able = {name: runs for name, runs in values.items() if len(runs) >= LEAST_RUNS}
    noises = dict(zip(able, guard([noise_of(runs) for runs in able.values()]), strict=True))
    df = table_df(list(noises.values()))
    left = [name for name in able if name in survivors]

    def beside(a: str, b: str) -> Difference:
        return difference_of(noises[a], noises[b], rules.metric, df)

    pairs = {pair: beside(*pair) for pair in combinations(left, 2)}
    drops = _dropped(pairs, rules.levels[number])
    left = [name for name in left if name not in {drop.setting for drop in drops}]
    adjusted = _adjusted({pair: found for pair, found in pairs.items() if {*pair} <= {*left}})
    # Of equals not the first named: the order of a command line decides nothing.
    best = max(sorted(left), key=lambda name: noises[name].mean, default=None)
    contenders = []
    for name in left:
        if best is not None and name != best:
            pair = beside(name, best)
            p_adjusted = adjusted[(name, best) if (name, best) in adjusted else (best, name)]
            chance = chance_to_decide(pair, number, len(adjusted), rules)
            is_equal = _is_equal(pair, noises[name].num_images, rules)
            contenders.append(Contender(name, pair, p_adjusted, chance, is_equal))
    return Look(
        seeds=rules.looks[number],
        level=rules.levels[number],
        drops=tuple(drops),
        failed=tuple(name for name in survivors if name not in able),
        best=best,
        contenders=tuple(contenders),
        verdict=_verdict(contenders, number, rules) if best is not None else None,
        bottleneck=_bottleneck(contenders, number, rules),
    )


def _adjusted(pairs: Mapping[tuple[str, str], Difference]) -> dict[tuple[str, str], float]:
    """Holm's p of each pair."""
    return dict(zip(pairs, holm([pair.p for pair in pairs.values()]), strict=True)) if pairs else {}


def _dropped(pairs: Mapping[tuple[str, str], Difference], level: float) -> list[Drop]:
    """Who is surely worse than another survivor: again with the smaller family until nobody goes.

    Until a best setting is dropped, the pairs of all bests are in the family, so a look's first wrong drop
    has at most the chance `level`.
    """
    drops: list[Drop] = []
    family = dict(pairs)
    while family:
        adjusted = _adjusted(family)
        # The surest reason of each comes first.
        for a, b in sorted(family, key=lambda pair: family[pair].p):
            worse, better = (a, b) if family[a, b].difference < 0 else (b, a)
            if adjusted[a, b] < level and worse not in {drop.setting for drop in drops}:
                drops.append(Drop(worse, better, -abs(family[a, b].difference), adjusted[a, b]))
        out = {drop.setting for drop in drops}
        smaller = {pair: found for pair, found in family.items() if not out & {*pair}}
        if len(smaller) == len(family):
            break
        family = smaller
    return drops


def chance_to_decide(pair: Difference, number: int, num_pairs: int, rules: Rules) -> float:
    """How likely the last look drops one of two, or calls them equal: by what is known now.

    The seeds' part of the variance shrinks with more seeds, and until then the difference will have moved.

    Args:
        pair: two survivors.
        number: of the look, from 0.
        num_pairs: of survivors.
        rules: of the race.
    """
    share = rules.looks[number] / rules.looks[-1]
    seeds = pair.variance_seeds + pair.variance_interplay
    if not pair.variance:
        return 0.0  # no image tells the two apart
    at_the_end = math.sqrt(pair.variance_lasting + seeds * share)
    moves, size = math.sqrt(seeds * (1 - share)), abs(pair.difference)

    def below(distance: float) -> float:
        """The chance that a move is smaller than a distance."""
        return float(ndtr(distance / moves)) if moves else float(distance > 0)

    least = float(ndtri(1 - rules.levels[-1] / 2 / num_pairs)) * at_the_end
    chance = below(size - least) + below(-size - least)
    if rules.margin is not None:
        most = rules.margin - float(ndtri(rules.equality_quantile)) * at_the_end
        chance += below(most - size) - below(-most - size) if most > 0 else 0.0
    return min(1.0, chance)


def _is_equal(pair: Difference, num_images: int, rules: Rules) -> bool:
    """Two one-sided tests (Schuirmann 1987), their level shared out over the looks."""
    if rules.margin is None:
        return False
    if pair.df is None:  # every image says the same
        reach = 1 - (1 - rules.equality_quantile) ** (1 / num_images)
    else:
        reach = student_quantile(rules.equality_quantile, pair.df) * math.sqrt(pair.variance)
    return bool(abs(pair.difference) + reach < rules.margin)


def _verdict(contenders: Sequence[Contender], number: int, rules: Rules) -> Verdict | None:
    """The first that holds; None: it goes on."""
    if not contenders:
        return "winner"
    if all(one.is_equal for one in contenders):
        return "equal"
    if number == len(rules.looks) - 1:
        return "budget"
    if rules.hopeless and all(one.chance < MAY_DECIDE for one in contenders):
        return "hopeless"
    return None


def _bottleneck(
    contenders: Sequence[Contender], number: int, rules: Rules
) -> Literal["images", "seeds"] | None:
    """What makes most of the variance of the best one and its nearest contender at the last look."""
    if not contenders:
        return None
    pair = nearest(contenders).pair
    seeds = (pair.variance_seeds + pair.variance_interplay) * rules.looks[number] / rules.looks[-1]
    return "images" if pair.variance_lasting >= seeds else "seeds"


def nearest(contenders: Sequence[Contender]) -> Contender:
    """The contender nearest to the best one."""
    return max(contenders, key=lambda one: (one.pair.difference, one.setting))


def margin_images(pair: Difference, num_images: int, rules: Rules) -> int | None:
    """How many validation images the margin needs at least; None if there are enough.

    Endless seeds leave the images' own variance, and nothing else would be left to shrink.
    """
    reach = float(ndtri(rules.equality_quantile)) * math.sqrt(pair.variance_lasting)
    if rules.margin is None or reach < rules.margin:
        return None
    return math.ceil(num_images * (reach / rules.margin) ** 2)
