"""Races and searches as their commands write them into a sweep's folder, for what reads them. No torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENDED = "2026-01-02T12:00:00+00:00"


def write_race(
    folder: Path,
    *,
    ended: str | None = None,
    margin: float | None = None,
    seeds: int = 3,
    out: Mapping[str, int] | None = None,
    settings: Sequence[str] = ("a", "b"),
) -> Path:
    """`race.json`: `out` are settings that were dropped as worse, with their seeds; `seeds` of the last look."""
    folder.mkdir(parents=True, exist_ok=True)
    out = out or {}
    record = {
        "schema": 1, "looks": [3, 5, 8, 12], "metric": "accuracy", "margin": margin, "hopeless": True,
        "first_seed": 0, "max_seconds": None, "seconds": 1.0, "num_val": 20,
        "settings": [
            {"setting": one, "name": one, "model": one, "out_after": out.get(one),
             "why": "worse" if one in out else None}
            for one in settings
        ],
        "rounds": [{"seeds": seeds, "runs": {}, "drops": [], "failed": [], "contenders": []}] if seeds else [],
        "verdict": None, "ended": ended,
    }  # fmt: skip
    (folder / "race.json").write_text(json.dumps(record))
    return folder


def trial(
    study: str,
    number: int,
    value: float | None,
    run: str | None = None,
    *,
    state: str | None = None,
    params: Mapping[str, Any] | None = None,
    epochs: int = 5,
    same_as: int | None = None,
) -> dict[str, Any]:
    """A result of a search; without a value a failed one, unless a state is given."""
    return {
        "study": study, "number": number, "run": run, "state": state or ("failed" if value is None else "finished"),
        "params": dict(params if params is not None else {"optim.lr": 0.001 * (number + 1)}),
        "values": None if value is None else [value], "epochs": epochs, "same_as": same_as,
    }  # fmt: skip


def confirmed(
    study: str, rank: int, number: int, runs: Sequence[str], search: float = 0.9, mean: float = 0.85
) -> dict[str, Any]:
    """A configuration that was trained again."""
    return {
        "study": study, "rank": rank, "number": number, "setting": "x", "runs": list(runs), "search": search,
        "mean": mean, "low": mean - 0.02, "high": mean + 0.02,
    }  # fmt: skip


def write_tune(
    folder: Path,
    results: Sequence[Mapping[str, Any]],
    *,
    again: Sequence[Mapping[str, Any]] = (),
    ended: str | None = None,
    trials: int = 50,
    confirm: int = 3,
    metric: str = "val.accuracy",
    direction: str = "maximize",
    models: Mapping[str, str] | None = None,
) -> Path:
    """`tune.json`; `again` are the configurations of the confirmation, `models` those of the studies."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(one["study"] for one in results))
    models = models or {name: name for name in names}
    record = {
        "schema": 1, "metric": [metric], "directions": [direction], "trials": trials, "sampler": "tpe",
        "pruner": "median", "confirm": confirm, "confirm_seeds": 3, "storage": "sqlite",
        "studies": [
            {"name": name, "model": model, "space": {"optim.lr": "0.0001 to 0.01, log scale"}}
            for name, model in models.items()
        ],
        "results": [dict(one) for one in results], "confirmed": [dict(one) for one in again], "best": None,
        "ended": ended,
    }  # fmt: skip
    (folder / "tune.json").write_text(json.dumps(record))
    return folder
