"""What differs between two runs: config, environment, sources, who has which image right. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bakeoff.comparison.group import config_of
from bakeoff.comparison.run import Run
from bakeoff.config.canonical import canonical_json
from bakeoff.config.strict import dotted_keys

_NOT_ENVIRONMENT = ("argv", "started", "code")  # what differs between any two runs; what is told apart


@dataclass(frozen=True)
class Sides:
    """Test images by who has them right; positions in the test set."""

    num_images: int
    both_right: int
    both_wrong: int
    only_a: list[int]
    only_b: list[int]
    difference: float  # of the accuracy, A minus B
    low: float
    high: float
    mcnemar_mid_p: float


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ; None for a key that one side does not have."""
    return {
        key: (a.get(key), b.get(key))
        for key in sorted({*a, *b})
        if canonical_json(a.get(key)) != canonical_json(b.get(key))
    }


def changed_config(a: Run, b: Run) -> dict[str, tuple[Any, Any]]:
    """Keys of the config that differ."""
    return differing(*(dotted_keys(config_of(run)) for run in (a, b)))


def changed_environment(a: Run, b: Run) -> dict[str, tuple[Any, Any]]:
    """What of the machine and the libraries differs; only facts that both runs recorded."""
    own = [
        dotted_keys({key: value for key, value in run.environment.items() if key not in _NOT_ENVIRONMENT})
        for run in (a, b)
    ]
    return {key: pair for key, pair in differing(*own).items() if all(key in facts for facts in own)}


def changed_sources(a: Run, b: Run) -> list[str] | None:
    """The files that both runs executed and that differ; None if a run has not recorded them."""
    ours, theirs = (run.environment.get("code") for run in (a, b))
    if not (isinstance(ours, dict) and isinstance(theirs, dict) and ours and theirs):
        return None
    return sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])


def sides(a: Run, b: Run) -> Sides | str:
    """Which images changed sides, or why it cannot be said."""
    import numpy as np

    from bakeoff.comparison.statistics.classical import mcnemar_mid_p
    from bakeoff.comparison.statistics.noise import noise_of
    from bakeoff.comparison.statistics.pairs import difference_of
    from bakeoff.comparison.statistics.values import values_of

    one, other = a.outcomes, b.outcomes
    if one is None or other is None:
        return "a run has no predictions"
    fingerprints = {run.text("fingerprint", "test_split") for run in (a, b)}
    if (
        len(fingerprints) > 1
        or one.num_classes != other.num_classes
        or not np.array_equal(one.labels, other.labels)
    ):
        return "the runs were tested on different images"
    right_a, right_b = one.guesses == one.labels, other.guesses == other.labels
    only_a, only_b = np.flatnonzero(right_a & ~right_b).tolist(), np.flatnonzero(right_b & ~right_a).tolist()
    noises = [noise_of(values_of("accuracy", run)[None]) for run in (one, other)]
    pair = difference_of(noises[0], noises[1], "accuracy", 0.0)
    return Sides(
        num_images=len(one.labels),
        both_right=int((right_a & right_b).sum()),
        both_wrong=int((~right_a & ~right_b).sum()),
        only_a=only_a,
        only_b=only_b,
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        mcnemar_mid_p=mcnemar_mid_p(len(only_a), len(only_b)),
    )
