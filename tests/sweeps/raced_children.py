"""Jobs of a race that train nothing: they write what the worked example says of their configuration and seed."""

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bakeoff.errors import OK, SOME_RUNS_BAD
from bakeoff.evaluation import metrics
from bakeoff.runs.records import SCHEMA, Cost, Fingerprints, Speed, Summary, Times
from bakeoff.runs.rundir import RunDir

SETTINGS = "ABCD"
LINE = ["data=digits", "model=cnn", "trainer.epochs=1", "sweep.name=night"]
SWEPT = "model.channels=[4],[5],[6],[7]"  # A, B, C, D
NIGHT = Path("outputs/sweeps/night")
_VAL, _TEST = np.arange(600), np.arange(5000, 6000)
_LEVELS = (14, 15, 20, 34)


def right(number: int, run: int, images: np.ndarray) -> np.ndarray:
    """As in `tests/comparison/raced_example.py`; bool [n]."""
    s, i, r = number, images, run
    hard, own = (i**2 + 31 * i) % 97, (i * (2 * s + 3) + 5 * s) % 53
    luck = (i * (11 + 2 * r) + 17 * r + 29 * s) % 61
    return np.asarray(hard + own // 2 + luck // 3 >= _LEVELS[s] + 2 * ((r * (s + 1)) % 4))


def rows(is_right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of ten classes."""
    labels = np.arange(len(is_right)) % 10
    said = np.where(is_right, labels, (labels + 1) % 10)
    probabilities = np.full((len(labels), 10), 0.02, dtype=np.float32)
    probabilities[np.arange(len(labels)), said] = 0.82
    return labels.astype(np.int64), probabilities


def trained_as_in_the_example(
    options: Namespace, *, noise: np.random.Generator | None = None, order: np.ndarray | None = None
) -> int:
    """Writes one run.

    Args:
        options: of the job.
        noise: replaces the test predictions by random ones.
        order: in which the validation images are stored.
    """
    run = RunDir(options.run)
    config = json.loads((options.run / "config.json").read_text())
    number, seed = config["model"]["channels"][0] - 4, config["seed"]
    entries = json.loads((options.run.parent / "sweep.json").read_text())["jobs"]
    entry = next(one for one in entries if one["folder"] == options.run.name)
    names = tuple(map(str, range(10)))
    val_labels, val_rows = rows(right(number, seed, _VAL))
    labels, test_rows = rows(right(number, seed, _TEST))
    if noise is not None:
        test_rows = noise.dirichlet(np.ones(10), len(labels)).astype(np.float32)
    order = np.arange(len(_VAL)) if order is None else order
    run.write_predictions("val", order, val_labels[order], val_rows[order])
    run.write_predictions("test", np.arange(len(labels)), labels, test_rows)
    summary = Summary(
        schema=SCHEMA, run_id=run.run_id, identity=options.identity, setting=entry["setting"], status="finished",
        model="cnn", family="cnn", weights="none", data="digits", seed=seed, epochs_run=1, best_epoch=1,
        test=metrics.score(labels, test_rows, names), val=metrics.score(val_labels, val_rows, names),
        train_loss_final=0.1, time=Times(1.0, 3.0, 1.0, 1.0, 1.0, 7.0), speed=Speed(1.0, 1.0, 1.0),
        cost=Cost(1234, 1234, None, 1), fingerprint=Fingerprints("x", "v0", "t0", "c"),
    )  # fmt: skip
    run.write_status("finished", 1)
    run.write_summary(summary)
    return OK


def failing(which: Callable[[int, int], bool]) -> Callable[[Namespace], int]:
    """Jobs that fail for some settings and seeds, and else write the example."""

    def work(options: Namespace) -> int:
        config = json.loads((options.run / "config.json").read_text())
        if which(config["model"]["channels"][0] - 4, config["seed"]):
            return SOME_RUNS_BAD
        return trained_as_in_the_example(options)

    return work


def record(folder: Path = NIGHT) -> dict[str, object]:
    """`race.json` as it stands."""
    found: dict[str, object] = json.loads((folder / "race.json").read_text())
    return found
