"""Checked runs -> tables: one for each test set, a row for each setting, its seeds together.

What is built here is the JSON interface of `bakeoff compare` (schema 1). No torch here.
"""

import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.compare.read import Run, is_number
from bakeoff.identity import canonical_json, identifying_config
from bakeoff.strict import dotted_keys

# Where each score of a summary stands. All but the last three are of the test images.
METRICS = {
    "accuracy": ("test", "accuracy"),
    "macro_f1": ("test", "macro_f1"),
    "nll": ("test", "nll"),
    "ece": ("test", "ece"),
    "train_seconds": ("time", "train_seconds"),
    "parameters": ("cost", "parameters"),
}


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation over the runs of a setting."""

    mean: float
    std: float | None  # None for one run


@dataclass(frozen=True)
class SettingRow:
    """The runs that differ in the seed alone."""

    setting: str
    name: str
    model: str
    weights: str
    changed: dict[str, Any]
    runs: list[str]
    seeds: list[int]
    num_runs: int
    metrics: dict[str, Estimate | None]  # None: not measured


@dataclass(frozen=True)
class Table:
    """All settings that were tested on the same images, best mean accuracy first."""

    data: str
    test_fingerprint: str
    num_images: int
    num_classes: int | None
    settings: list[SettingRow]


def make_tables(runs: Iterable[Run]) -> list[Table]:
    """Groups runs by test fingerprint and number of test images, then by stored setting."""
    by_test: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        key = (_text(run.summary.get("fingerprint"), "test_split"), run.summary["test"]["num_images"])
        by_test.setdefault(key, []).append(run)
    tables = [_table(fingerprint, count, members) for (fingerprint, count), members in by_test.items()]
    return sorted(tables, key=lambda table: (table.data, table.test_fingerprint))


def _table(fingerprint: str, num_images: int, runs: Sequence[Run]) -> Table:
    by_setting: dict[str, list[Run]] = {}
    for run in runs:
        by_setting.setdefault(run.summary["setting"], []).append(run)
    changed = _changed_keys({setting: _config(members[0]) for setting, members in by_setting.items()})
    names = _names({setting: members[0].summary["model"] for setting, members in by_setting.items()}, changed)
    rows = [_row(setting, names[setting], changed[setting], by_setting[setting]) for setting in by_setting]
    rows.sort(key=lambda row: (-_mean(row.metrics["accuracy"]), row.name))
    per_class = runs[0].summary["test"].get("per_class")
    return Table(
        data=runs[0].summary["data"],
        test_fingerprint=fingerprint,
        num_images=num_images,
        num_classes=len(per_class) if isinstance(per_class, list) else None,
        settings=rows,
    )


def _config(run: Run) -> dict[str, Any]:
    """A run's config, with the weights that it began with by what they are, not by their path."""
    model = run.config.get("model")
    if not isinstance(model, dict) or "weights" not in model:
        return run.config
    return {**run.config, "model": {**model, "weights": _text(run.summary, "weights")}}


def _row(setting: str, name: str, changed: dict[str, Any], runs: Sequence[Run]) -> SettingRow:
    runs = sorted(runs, key=lambda run: (run.summary["seed"], run.path.name))
    summary = runs[0].summary
    return SettingRow(
        setting=setting,
        name=name,
        model=summary["model"],
        weights=_text(summary, "weights"),
        changed=changed,
        runs=[run.path.name for run in runs],
        seeds=[run.summary["seed"] for run in runs],
        num_runs=len(runs),
        metrics={metric: _estimate([_value(run, *at) for run in runs]) for metric, at in METRICS.items()},
    )


def _estimate(values: Sequence[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Estimate(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def _value(run: Run, section: str, key: str) -> float | None:
    values = run.summary.get(section)
    found = values.get(key) if isinstance(values, dict) else None
    highest = 1.0 if key == "ece" else sys.float_info.max
    return float(found) if found is not None and is_number(found, 0.0, highest) else None


def _changed_keys(configs: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each setting, the keys whose values are not the same in all settings."""
    flat = {}
    for setting, config in configs.items():
        kept = identifying_config(config)
        kept.pop("seed", None)
        flat[setting] = dotted_keys(kept)
    keys = sorted({key for values in flat.values() for key in values})
    differing = [
        key for key in keys if len({canonical_json(values.get(key)) for values in flat.values()}) > 1
    ]
    return {
        setting: {key: values[key] for key in differing if key in values} for setting, values in flat.items()
    }


def _names(models: Mapping[str, str], changed: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Names that are unique in the table.

    The model; where settings share it, followed by what tells them apart; then by the beginning of
    the setting, then by all of it.
    """
    longer = {setting: _longer_names(setting, models, changed) for setting in models}
    names = {setting: longer[setting].pop(0) for setting in models}
    while True:
        counts = Counter(names.values())
        shared = [setting for setting, name in names.items() if counts[name] > 1 and longer[setting]]
        if not shared:
            return names
        names |= {setting: longer[setting].pop(0) for setting in shared}


def _longer_names(
    setting: str, models: Mapping[str, str], changed: Mapping[str, dict[str, Any]]
) -> list[str]:
    model = models[setting]
    twins = [other for other in models if models[other] == model]
    telling = [
        f"{key}={shown(value)}"
        for key, value in changed[setting].items()
        if len({canonical_json(changed[twin].get(key)) for twin in twins}) > 1
    ]
    named = " ".join([model, *telling])
    return [model, named, f"{named} {setting[:8]}", f"{named} {setting}"]


def shown(value: Any) -> str:
    """A config value as one would type it."""
    return value if isinstance(value, str) else canonical_json(value)


def _text(section: Any, key: str) -> str:
    value = section.get(key) if isinstance(section, dict) else None
    return value if isinstance(value, str) else "unknown"


def _mean(estimate: Estimate | None) -> float:
    return estimate.mean if estimate else 0.0
