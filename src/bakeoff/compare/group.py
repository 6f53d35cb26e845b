"""Checked runs -> one table for each test set, a row for each setting, its seeds together. No torch here."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.compare.estimates import Estimate, estimates
from bakeoff.compare.read import Run
from bakeoff.identity import canonical_json, identifying_config
from bakeoff.strict import dotted_keys

if TYPE_CHECKING:
    from bakeoff.compare.significance import Pair


@dataclass(frozen=True)
class SecondsTo:
    """Seconds of training until a validation accuracy was reached, over the runs of a setting.

    Runs that never reached it are censored: they would have taken longer than they were trained.
    """

    accuracy: float
    reached: tuple[float, ...]  # seconds of the runs that reached it
    missed: tuple[float, ...]  # of those that did not: all they were trained

    @property
    def median(self) -> float | None:
        """Over all runs; None where the middle one did not reach it."""
        place = (len(self.reached) + len(self.missed)) // 2
        return sorted(self.reached)[place] if place < len(self.reached) else None


@dataclass(frozen=True)
class SettingRow:
    """The runs that differ in the seed alone."""

    setting: str
    name: str  # unique in its table
    changed: dict[str, Any]
    members: tuple[Run, ...]
    metrics: dict[str, Estimate | None]  # None: not measured
    tie_group: str | None = None
    seconds_to: SecondsTo | None = None
    on_front: bool | None = None  # None: not asked for, or it cannot be told

    @property
    def model(self) -> str:
        """The model as the user calls it."""
        return str(self.members[0].summary["model"])

    @property
    def weights(self) -> str:
        """Where the first weights came from."""
        return self.members[0].text("weights")

    @property
    def runs(self) -> list[str]:
        """Run ids."""
        return [run.path.name for run in self.members]

    @property
    def seeds(self) -> list[int]:
        """One for each run."""
        return [run.summary["seed"] for run in self.members]

    @property
    def num_runs(self) -> int:
        """How many seeds were trained."""
        return len(self.members)

    def mean(self, metric: str) -> float | None:
        """Of a metric, if it was measured."""
        estimate = self.metrics.get(metric)
        return estimate.mean if estimate else None


@dataclass(frozen=True)
class Table:
    """All settings that were tested on the same images, best mean accuracy first."""

    data: str
    test_fingerprint: str
    num_images: int
    class_names: tuple[str, ...]  # empty if unknown
    settings: list[SettingRow]
    is_tested: bool = False  # whether statistics were asked for
    pairs: list["Pair"] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self, setting: str) -> SettingRow:
        """A setting that is shown."""
        return next(row for row in self.settings if row.setting == setting)


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
