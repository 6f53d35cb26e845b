"""Valid run directories made by the program's own writers, without torch or training."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.config.schema import defaults
from bakeoff.evaluation import metrics
from bakeoff.runs.records import SCHEMA, Cost, Fingerprints, Speed, Summary, Times
from bakeoff.runs.rundir import RunDir

NAMES = tuple(f"class {number}" for number in range(5))


def predictions(seed: int, count: int = 60, error_rate: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probability rows with some mistakes; one row has no answer."""
    random = np.random.RandomState(seed)
    labels = np.arange(count) % len(NAMES)
    guesses = np.where(random.rand(count) < error_rate, (labels + 1) % len(NAMES), labels)
    rows = np.full((count, len(NAMES)), 0.05, dtype=np.float32)
    rows[np.arange(count), guesses] = 0.8
    rows[seed % count] = 0
    return labels.astype(np.int64), rows


def make_run(
    path: Path,
    seed: int = 0,
    setting: str = "a",
    *,
    model: str = "cnn",
    changes: dict[str, Any] | None = None,
    test_split: str = "t0",
    train_seconds: float = 3.0,
    stored: tuple[np.ndarray, np.ndarray] | None = None,
    **options: Any,
) -> Summary:
    """Writes a finished run and returns its summary. `changes` sets dotted keys of the config.

    `stored` are labels and rows to use instead of made ones.
    """
    labels, rows = stored or predictions(seed, **options)
    names = NAMES if rows.shape[1] == len(NAMES) else tuple(map(str, range(rows.shape[1])))
    run = RunDir.create(path)
    values = defaults() | {"model": {"name": model, "family": "cnn"}, "seed": seed, "output_dir": "outputs"}
    for key, value in (changes or {}).items():
        section = values
        *parents, last = key.split(".")
        for name in parents:
            section = section[name]
        section[last] = value
    run.write_config(values, [f"seed={seed}"])
    run.write_status("finished", 10)
    run.write_predictions("test", np.arange(len(labels)), labels, rows)
    summary = Summary(
        schema=SCHEMA, run_id=run.run_id, identity=f"{setting}-{seed}-{test_split}", setting=setting, status="finished",
        model=model, family="cnn", weights="none", data="toy", seed=seed, epochs_run=1, best_epoch=1,
        test=metrics.score(labels, rows, names), val=None, train_loss_final=0.1,
        time=Times(1.0, train_seconds, 1.0, 1.0, 1.0, 7.0), speed=Speed(1.0, 1.0, 1.0),
        cost=Cost(1234, 1234, None, 1), fingerprint=Fingerprints("x", None, test_split, "c"),
    )  # fmt: skip
    run.write_summary(summary)
    return summary


def accuracy_of(summary: Summary) -> float:
    return dataclasses.asdict(summary)["test"]["accuracy"]
