"""`race.json`: what was fixed before the first run, and what each look decided. No torch here.

A decision can be made again from the stored validation predictions of the runs that it names; so it is, when
a race goes on, and must come out the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ConfigError, ResumeError
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.storage import write_json
from bakeoff.sweeps.race.entrants import Entrant

if TYPE_CHECKING:
    from bakeoff.comparison.statistics.race import Look, Rules

FILE = "race.json"
SCHEMA = 1
_KEYS = {"first_seed": "seed", "margin": "race.margin_points"}  # on the command line


@dataclass
class Record:
    """All of it."""

    folder: Path  # the sweep's
    plan: dict[str, Any]  # looks, metric, margin, hopeless, first_seed
    entrants: Sequence[Entrant]
    max_seconds: float | None = None
    seconds: float = 0.0  # of work so far
    num_val: int | None = None  # validation images, once they were looked at
    rounds: list[dict[str, Any]] = field(default_factory=list)
    verdict: dict[str, Any] | None = None
    ended: str | None = None  # ISO 8601, UTC

    def write(self) -> None:
        """Stores it.

        Raises:
            ResourceError: it cannot be written.
        """
        out = {drop["setting"]: each for each in self.rounds for drop in each["drops"]}
        failed = {setting: each for each in self.rounds for setting in each["failed"]}
        write_json(
            self.folder / FILE,
            {
                "schema": SCHEMA,
                **self.plan,
                "max_seconds": self.max_seconds,
                "seconds": self.seconds,
                "num_val": self.num_val,
                "settings": [
                    {
                        "setting": one.setting,
                        "name": one.name,
                        "model": one.model,
                        "out_after": (out | failed).get(one.setting, {}).get("seeds"),
                        "why": "worse" if one.setting in out else "failed" if one.setting in failed else None,
                    }
                    for one in self.entrants
                ],
                "rounds": self.rounds,
                "verdict": self.verdict,
                "ended": self.ended,
            },
        )


def plan_of(rules: "Rules", first_seed: int) -> dict[str, Any]:
    """What must stay as it is."""
    return {
        "looks": list(rules.looks),
        "metric": rules.metric,
        "margin": rules.margin,
        "hopeless": rules.hopeless,
        "first_seed": first_seed,
    }


def begun(folder: Path, plan: dict[str, Any], entrants: Sequence[Entrant]) -> Record:
    """The record of a sweep's folder: what is there, or a new one.

    Raises:
        ConfigError: a race with another plan, or of others, was begun there.
        ResumeError: what is there cannot be read.
    """
    if not (folder / FILE).exists():
        return Record(folder, plan, entrants)
    values = stored(folder)
    for key, value in plan.items():
        if values.get(key) != value:
            raise ConfigError(
                f"{_KEYS.get(key, f'race.{key}')}: this race was begun with {values.get(key)}, now {value}; "
                "its plan was fixed before its first run; for another one give sweep.name=new"
            )
    before = {one.get("setting") if isinstance(one, dict) else None for one in values["settings"]}
    now = {one.setting for one in entrants}
    if before != now:
        raise ConfigError(f"{folder}: the race of other configurations; for another one give sweep.name=new")
    return Record(
        folder, plan, entrants, seconds=values["seconds"], num_val=values["num_val"], rounds=values["rounds"],
        verdict=values["verdict"], ended=values["ended"],
    )  # fmt: skip


def stored(folder: Path) -> dict[str, Any]:
    """What stands in the file.

    Raises:
        ResumeError: it cannot be read, or is not one of this version.
    """
    try:
        values = read_json(folder / FILE, attempts=2)
    except UnreadableFileError as error:
        raise ResumeError(f"{folder}: {error}; begin another race with sweep.name=new") from error
    kinds = {"looks": list, "settings": list, "rounds": list, "seconds": float | int, "first_seed": int}
    may_be_null = {
        "verdict": dict | None,
        "ended": str | None,
        "margin": float | int | None,
        "num_val": int | None,
    }
    wrong = [
        name for name, kind in (kinds | may_be_null).items() if not isinstance(values.get(name, ()), kind)
    ]
    if wrong or values.get("schema") != SCHEMA or not all(_is_round(one) for one in values["rounds"]):
        told = f" ({', '.join(wrong)})" if wrong else ""
        raise ResumeError(
            f"{folder / FILE}: not one of this version{told}; begin another with sweep.name=new"
        )
    return values


def decided(stored: dict[str, Any]) -> list[Any]:
    """What of a round is a decision; the last bits of its figures depend on the processor."""
    drops = [drop["setting"] for drop in stored["drops"]]
    left = [one["setting"] for one in stored["contenders"]]
    return [stored["seeds"], drops, stored["failed"], stored["best"], left, stored["verdict"]]


def _is_round(one: Any) -> bool:
    if (
        not isinstance(one, dict)
        or not isinstance(one.get("runs"), dict)
        or type(one.get("seeds")) is not int
    ):
        return False
    if any(not isinstance(one.get(name), list) for name in ("drops", "failed", "contenders")):
        return False
    named = all(isinstance(each, dict) and isinstance(each.get("setting"), str)
                for each in (*one["drops"], *one["contenders"]))  # fmt: skip
    seeds = [seed for own in one["runs"].values() for seed in (own if isinstance(own, list) else [None])]
    return named and "best" in one and "verdict" in one and all(type(seed) is int for seed in seeds)


def round_of(look: "Look", runs: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """A look as it is stored.

    Args:
        look: what was decided.
        runs: of each configuration the seeds that it saw.
    """
    return {
        "seeds": look.seeds,
        "level": look.level,
        "runs": {setting: list(seeds) for setting, seeds in runs.items()},
        "drops": sorted((asdict(drop) for drop in look.drops), key=lambda drop: str(drop["setting"])),
        "failed": sorted(look.failed),
        "best": look.best,
        "contenders": sorted(
            (
                {
                    "setting": one.setting,
                    "difference": one.pair.difference,
                    "low": one.pair.low,
                    "high": one.pair.high,
                    "p": one.pair.p,
                    "p_adjusted": one.p_adjusted,
                    "chance": one.chance,
                    "is_equal": one.is_equal,
                }
                for one in look.contenders
            ),
            key=lambda one: str(one["setting"]),
        ),
        "verdict": look.verdict,
        "bottleneck": look.bottleneck,
    }
