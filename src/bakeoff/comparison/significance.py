"""Which settings of a table differ: intervals, tested pairs, tie groups. No torch here.

The guard against noise that is too small by chance sees all settings of the test set; the correction for
many pairs sees the pairs that are shown.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bakeoff.comparison.comparability import Facts, confounders, facts
from bakeoff.comparison.statistics.classical import benjamini_hochberg, holm, mcnemar_mid_p
from bakeoff.comparison.statistics.letters import tie_letters
from bakeoff.comparison.statistics.noise import Noise, guard, noise_of, own_interval
from bakeoff.comparison.statistics.pairs import (
    detectable,
    difference_of,
    recall_differences,
    recall_noises,
    table_df,
)
from bakeoff.comparison.statistics.values import METRICS, Metric, values_of
from bakeoff.comparison.tables import ClassDifference, Estimate, Pair, SettingRow, Table, best_first

MOST_SETTINGS = 20  # of which all pairs are tested


def with_statistics(table: Table, shown: Sequence[SettingRow], baseline: str | None) -> Table:
    """Adds intervals, pairs and tie groups.

    Args:
        table: all settings of a test set.
        shown: those that are to be shown, perhaps with fewer runs, in their order.
        baseline: the setting that the others are compared with; None for all pairs.
    """
    chosen = {row.setting: row for row in shown}
    everything = [chosen.get(row.setting, row) for row in table.settings]
    usable = [row for row in everything if all(run.outcomes for run in row.members)]
    tested = {row.setting for row in usable} & chosen.keys()
    pairs = _pairs_to_test([row.setting for row in shown if row.setting in tested], baseline)
    noises = {metric: _noises(usable, metric) for metric in METRICS}
    alike = {setting: facts(chosen[setting].members) for setting in tested}
    tested_pairs = [
        pair for metric in METRICS for pair in _tested(metric, pairs, noises[metric], chosen, alike)
    ]
    tested_pairs = _with_classes(tested_pairs, chosen, table.class_names)
    letters = _letters(shown, tested_pairs) if pairs and baseline is None else {}
    rows = [
        dataclasses.replace(
            row,
            metrics=row.metrics
            | _intervals(row, {metric: noises[metric].get(row.setting) for metric in METRICS}),
            tie_group=letters.get(row.setting),
        )
        for row in shown
    ]
    return dataclasses.replace(table, settings=rows, pairs=tested_pairs, is_tested=True)


def _pairs_to_test(settings: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    if baseline is not None:
        return [(setting, baseline) for setting in settings if setting != baseline and baseline in settings]
    return list(itertools.combinations(settings, 2)) if len(settings) <= MOST_SETTINGS else []


def _noises(rows: Iterable[SettingRow], metric: Metric) -> dict[str, Noise]:
    raw = {row.setting: noise_of(_values(row, metric)) for row in rows}
    return dict(zip(raw, guard(list(raw.values())), strict=True))


def _values(row: SettingRow, metric: Metric) -> np.ndarray:
    return np.stack([values_of(metric, run.outcomes) for run in row.members if run.outcomes])


def _tested(
    metric: Metric,
    pairs: Sequence[tuple[str, str]],
    noises: Mapping[str, Noise],
    rows: Mapping[str, SettingRow],
    alike: Mapping[str, Facts],
) -> list[Pair]:
    df = table_df(list(noises.values()))
    results = [difference_of(noises[a], noises[b], metric, df) for a, b in pairs]
    adjusted = holm([result.p for result in results]) if results else []
    return [
        Pair(
            a=a,
            b=b,
            metric=metric,
            result=result,
            p_adjusted=p_adjusted,
            smallest_detectable_difference=detectable(result, len(pairs)),
            num_images=noises[a].num_images,
            confounders=confounders(alike[a], alike[b]),
            mcnemar_mid_p=_mid_p(rows[a], rows[b]) if metric == "accuracy" else None,
            noisy_side=_is_noisy(noises[a], noises[b]) or _is_noisy(noises[b], noises[a]),
        )
        for (a, b), result, p_adjusted in zip(pairs, results, adjusted, strict=True)
    ]


def _mid_p(a: SettingRow, b: SettingRow) -> float | None:
    one, other = a.members[0].outcomes, b.members[0].outcomes
    if a.num_runs > 1 or b.num_runs > 1 or not one or not other:
        return None
    right_a, right_b = one.guesses == one.labels, other.guesses == other.labels
    return mcnemar_mid_p(int((right_a & ~right_b).sum()), int((~right_a & right_b).sum()))


def _is_noisy(noisier: Noise, other: Noise) -> bool:
    """Few runs on a side whose seeds scatter twice as far (docs/statistics.md)."""
    both = min(noisier.num_runs, other.num_runs) >= 2
    few = noisier.num_runs <= min(3, other.num_runs)
    return both and few and noisier.variance > 4 * other.variance


def _with_classes(
    pairs: Sequence[Pair], rows: Mapping[str, SettingRow], class_names: Sequence[str]
) -> list[Pair]:
    """Adds the classes' recall to the pairs of the accuracy."""
    involved = {setting for pair in pairs for setting in (pair.a, pair.b)}
    noises = {}
    for setting in involved if class_names else ():
        labels = next(run.outcomes.labels for run in rows[setting].members if run.outcomes)
        right = _values(rows[setting], "accuracy")
        noises[setting] = recall_noises(labels, right, len(class_names))
    with_classes = []
    for pair in pairs:
        if pair.metric != "accuracy" or not class_names:
            with_classes.append(pair)
            continue
        results = recall_differences(noises[pair.a], noises[pair.b])
        adjusted = benjamini_hochberg([result.p for result in results.values()]) if results else []
        classes = tuple(
            ClassDifference(class_names[number], result.difference, result.p, p_adjusted)
            for (number, result), p_adjusted in zip(results.items(), adjusted, strict=True)
        )
        with_classes.append(dataclasses.replace(pair, classes=classes))
    return with_classes


def _letters(shown: Sequence[SettingRow], pairs: Sequence[Pair]) -> dict[str, str]:
    tested = {setting for pair in pairs for setting in (pair.a, pair.b)}
    rows = best_first(sorted(shown, key=lambda row: row.name))
    differing = [(pair.a, pair.b) for pair in pairs if pair.metric == "accuracy" and pair.differs]
    return tie_letters([row.setting for row in rows if row.setting in tested], differing)


def _intervals(row: SettingRow, noises: Mapping[Metric, Noise | None]) -> dict[str, Estimate | None]:
    estimates: dict[str, Estimate | None] = {}
    for metric, noise in noises.items():
        estimate = row.metrics[metric]
        interval = own_interval(noise, metric) if noise else None
        if estimate and interval:
            estimates[metric] = dataclasses.replace(estimate, low=interval[0], high=interval[1])
    return estimates
