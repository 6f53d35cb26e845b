"""Checked runs -> one table for each test set, a row for each setting, its seeds together. No torch here."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakeoff.comparison.estimates import estimates
from bakeoff.comparison.read import Run
from bakeoff.comparison.tables import SettingRow, Table
from bakeoff.config.canonical import canonical_json, identifying_config
from bakeoff.config.strict import dotted_keys


def make_tables(runs: Iterable[Run]) -> list[Table]:
    """Groups runs by what they were tested on, then by stored setting."""
    by_test: dict[tuple[str, int, bytes], list[Run]] = {}
    for run in runs:
        # Images of one fingerprint have one set of labels and classes; if not, somebody changed a file,
        # and no pair of such runs may be tested.
        seen = run.outcomes
        labels = seen.labels.tobytes() + seen.num_classes.to_bytes(2) if seen else b""
        key = (run.text("fingerprint", "test_split"), run.summary["test"]["num_images"], labels)
        by_test.setdefault(key, []).append(run)
    tables = [_table(key[0], key[1], members) for key, members in _merged(by_test).items()]
    return sorted(tables, key=lambda table: (table.data, table.test_fingerprint))


def _merged(by_test: Mapping[tuple[str, int, bytes], list[Run]]) -> dict[tuple[str, int, bytes], list[Run]]:
    """Runs without predictions stand beside those with, if there is one such group."""
    merged = dict(by_test)
    for key, members in by_test.items():
        others = [other for other in merged if other[:2] == key[:2] and other[2]]
        if not key[2] and len(others) == 1:
            order = {id(run): place for place, run in enumerate(members + merged[others[0]])}
            merged[others[0]] = sorted(merged[others[0]] + merged.pop(key), key=lambda run: order[id(run)])
    return merged


def _table(fingerprint: str, num_images: int, runs: Sequence[Run]) -> Table:
    by_setting: dict[str, list[Run]] = {}
    for run in runs:
        by_setting.setdefault(run.summary["setting"], []).append(run)
    changed = _changed_keys({setting: config_of(members[0]) for setting, members in by_setting.items()})
    own_names = _names({setting: of[0].summary["model"] for setting, of in by_setting.items()}, changed)
    rows = [
        SettingRow(
            setting,
            own_names[setting],
            changed[setting],
            tuple(sorted(members, key=lambda run: (run.summary["seed"], run.path.name))),
            estimates(members),
        )
        for setting, members in by_setting.items()
    ]
    rows.sort(key=lambda row: (-(row.mean("accuracy") or 0.0), row.name))
    # Of a run with predictions, if there is one: they say how many classes there are.
    names = class_names(next((run for run in runs if run.outcomes), runs[0]))
    return Table(runs[0].summary["data"], fingerprint, num_images, names, rows)


def config_of(run: Run) -> dict[str, Any]:
    """A run's config, with the weights that it began with by what they are, not by their path."""
    model = run.config.get("model")
    if not isinstance(model, dict) or "weights" not in model:
        return run.config
    return {**run.config, "model": {**model, "weights": run.text("weights")}}


def class_names(run: Run) -> tuple[str, ...]:
    """As the summary has them; empty if it does not say."""
    per_class = run.summary["test"].get("per_class")
    if not isinstance(per_class, list):
        return ()
    if run.outcomes and len(per_class) != run.outcomes.num_classes:
        return tuple(map(str, range(run.outcomes.num_classes)))
    labels = [item.get("label") if isinstance(item, dict) else None for item in per_class]
    return tuple(label if isinstance(label, str) else str(number) for number, label in enumerate(labels))


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
