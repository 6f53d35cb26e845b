"""Checked runs -> one table for each test set, a row for each setting, its seeds together. No torch here."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakeoff.comparison.estimates import estimates
from bakeoff.comparison.rows import RowRuns, by_row, by_table
from bakeoff.comparison.run import Run
from bakeoff.comparison.tables import SettingRow, Table, best_first
from bakeoff.config.canonical import LEFT_OUT_IF_NULL, canonical_json, identifying_config
from bakeoff.config.strict import dotted_keys

_MOST_TITLES = 3  # of data with the same test images, such as all of MNIST and a part


def make_tables(runs: Iterable[Run]) -> list[Table]:
    """Groups runs by what they were tested on, then by stored setting and what `auto` became."""
    tables = [_table(*table) for table in by_table(runs)]
    of_title = Counter(table.title for table in tables)
    told = [
        dataclasses.replace(table, title=f"{table.title} (test images {table.test_fingerprint[:8]})")
        if of_title[table.title] > 1
        else table
        for table in tables
    ]
    return sorted(told, key=lambda table: (table.title, table.test_fingerprint))


def _table(fingerprint: str, num_images: int, runs: Sequence[Run]) -> Table:
    parts = by_row(runs)
    changed = _changed_keys({part.key: config_of(part.runs[0]) for part in parts})
    names = _names(parts, changed)
    rows = [
        SettingRow(
            part.key,
            names[part.key],
            changed[part.key],
            tuple(sorted(part.runs, key=lambda run: (run.summary["seed"], run.path.name))),
            estimates(part.runs),
            resolved=part.resolved,
        )
        for part in parts
    ]
    # What nothing confirms heads no table.
    rows = best_first(sorted(rows, key=lambda row: row.name))
    # Of a run with predictions, if there is one: they say how many classes there are.
    classes = class_names(next((run for run in runs if run.outcomes), runs[0]))
    titles = sorted({run.data_title for run in runs})
    title = ", ".join(titles[:_MOST_TITLES]) + (", ..." if titles[_MOST_TITLES:] else "")
    return Table(runs[0].summary["data"], title, fingerprint, num_images, classes, rows)


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
        # Where others have a limit, that one has none is worth a word.
        flat[setting] = dict.fromkeys(LEFT_OUT_IF_NULL) | dotted_keys(kept)
    keys = sorted({key for values in flat.values() for key in values})
    differing = [
        key for key in keys if len({canonical_json(values.get(key)) for values in flat.values()}) > 1
    ]
    return {
        setting: {key: values[key] for key in differing if key in values} for setting, values in flat.items()
    }


def _names(parts: Sequence[RowRuns], changed: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Names that are unique in the table, by the rows' keys.

    The model; where settings share it, followed by what tells them apart; then by the beginning of
    the setting, then by all of it. Last, what `auto` became, where that parts the runs of a setting.
    """
    of_model: dict[str, dict[str, RowRuns]] = {}  # model -> a row of each of its settings
    for part in parts:
        first = part.runs[0].summary
        of_model.setdefault(first["model"], {}).setdefault(first["setting"], part)
    longer = {
        setting: _longer_names(setting, model, telling)
        for model, twins in of_model.items()
        for setting, telling in _telling({name: changed[part.key] for name, part in twins.items()}).items()
    }
    names = {setting: texts.pop(0) for setting, texts in longer.items()}
    while True:
        counts = Counter(names.values())
        shared = [setting for setting, name in names.items() if counts[name] > 1 and longer[setting]]
        if not shared:
            break
        names |= {setting: longer[setting].pop(0) for setting in shared}
    of_settings = Counter(names.values())
    found: dict[str, str] = {}
    for part in parts:
        name = names[part.runs[0].summary["setting"]]
        if part.resolved:
            name += f" ({part.resolved})"
            if of_settings[name]:  # somebody's model is called so
                name += f" {part.key}"
        found[part.key] = name
    return found


def _telling(changed: Mapping[str, dict[str, Any]]) -> dict[str, list[str]]:
    """For each setting of a model, the changed keys that are not the same in all of them."""
    keys = {key for values in changed.values() for key in values}
    varying = {
        key for key in keys if len({canonical_json(values.get(key)) for values in changed.values()}) > 1
    }
    return {
        setting: [f"{key}={shown(value)}" for key, value in values.items() if key in varying]
        for setting, values in changed.items()
    }


def _longer_names(setting: str, model: str, telling: Sequence[str]) -> list[str]:
    named = " ".join([model, *telling])
    return [model, named, f"{named} {setting[:8]}", f"{named} {setting}"]


def shown(value: Any) -> str:
    """A config value as one would type it."""
    return value if isinstance(value, str) else canonical_json(value)
