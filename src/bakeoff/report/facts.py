"""How it was done: what the configurations share and where they differ, on which machines, for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparison.figures import TOTAL_SECONDS, number_at, value_at
from bakeoff.comparison.group import config_of, shown
from bakeoff.comparison.run import UNKNOWN, Run
from bakeoff.comparison.tables import Table
from bakeoff.config.strict import dotted_keys

_MOST_SECONDS = 1e12
_NOT_SHOWN = ("seed", "schema", "output_dir", "sweep.", "hydra.", "data.root")
_PHASES = ("setup_seconds", "train_seconds", "eval_seconds", "save_seconds")
_MACHINE = (
    "device_name", "cpu", "threads", "precision", "torch", "torchvision", "cuda", "driver", "host",
    "git_commit",
)  # fmt: skip


@dataclass(frozen=True)
class KeyValues:
    """One key of the configurations: a value for each row, in the table's order; None: it has no such key."""

    key: str
    values: tuple[str | None, ...]

    @property
    def is_same(self) -> bool:
        """Whether it tells no row from another."""
        return len(set(self.values)) == 1

    @property
    def is_own(self) -> bool:
        """Whether some models do not have it, and those that do agree: it follows from the model."""
        return None in self.values and len(set(self.values)) == 2

    @property
    def differs(self) -> bool:
        """Whether two rows have other values."""
        return not self.is_same and not self.is_own

    def shown(self, place: int) -> str:
        """The value of a row, or a dash."""
        value = self.values[place]
        return "–" if value is None else value


@dataclass(frozen=True)
class RunFacts:
    """One run as the list of all runs shows it."""

    row: int
    name: str
    seed: int
    accuracy: float
    epochs: str
    best_epoch: str
    phases: tuple[float | None, ...]  # seconds, of setup, train, eval, save
    total_seconds: float | None
    began: str


def key_values(table: Table) -> list[KeyValues]:
    """All keys that may change a result, those that differ first."""
    configs = [dotted_keys(config_of(row.members[0])) for row in table.settings]
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if _is_shown(key)]
    made = [KeyValues(key, tuple(_text(config, key) for config in configs)) for key in keys]
    return sorted(made, key=lambda one: one.is_same)


def _is_shown(key: str) -> bool:
    return not any(key == name or (name.endswith(".") and key.startswith(name)) for name in _NOT_SHOWN)


def _text(config: dict[str, Any], key: str) -> str | None:
    return shown(config[key]) if key in config else None


def machine_facts(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Fact -> its values and of how many runs each is, most frequent first."""
    facts = []
    for name in _MACHINE:
        values: dict[str, int] = {}
        for run in runs:
            value = run.environment.get(name)
            text = shown(value) if value is not None and not isinstance(value, dict | list) else UNKNOWN
            values[text] = values.get(text, 0) + 1
        if set(values) != {UNKNOWN}:
            facts.append((name, sorted(values.items(), key=lambda item: -item[1])))
    return facts


def run_facts(table: Table) -> list[RunFacts]:
    """All runs of a table."""
    return [
        RunFacts(
            row=row.number,
            name=run.path.name,
            seed=run.summary["seed"],
            accuracy=run.summary["test"]["accuracy"],
            epochs=_count(run.summary.get("epochs_run")),
            best_epoch=_count(run.summary.get("best_epoch")),
            phases=tuple(number_at(run.summary, f"time.{name}", _MOST_SECONDS) for name in _PHASES),
            total_seconds=number_at(run.summary, TOTAL_SECONDS, _MOST_SECONDS),
            began=run.date or UNKNOWN,
        )
        for row in table.settings
        for run in row.members
    ]


def _count(value: Any) -> str:
    return str(value) if type(value) is int and 0 <= value < 10**9 else UNKNOWN


def split_sizes(runs: Sequence[Run]) -> dict[str, str]:
    """What is known of the data beside the test images."""
    found = {}
    for name, path in (
        ("validation images", "val.num_images"),
        ("fingerprint of the training images", "fingerprint.train_split"),
    ):
        values = {shown(value) for run in runs if (value := value_at(run.summary, path)) is not None}
        if values:
            found[name] = next(iter(values))[:64] if len(values) == 1 else f"{len(values)} different ones"
    return found
