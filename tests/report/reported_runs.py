"""Run directories for reports: with epochs, so that they have learning curves."""

from pathlib import Path

import numpy as np
from run_directories import make_run

from bakeoff.comparison.assemble import compare_runs
from bakeoff.comparison.read import read_runs
from bakeoff.comparison.tables import Table
from bakeoff.comparison.view import View
from bakeoff.runs.locate import find_run_dirs
from bakeoff.runs.records import EpochRecord, ValidationScores
from bakeoff.runs.rundir import RunDir


def write_epochs(run: Path, accuracies: list[float], *, seconds: float = 2.0, rate: float = 50.0) -> None:
    """An epoch for each validation accuracy; each takes as long and sees as many images."""
    for epoch, accuracy in enumerate(accuracies, 1):
        val = ValidationScores(accuracy, accuracy - 0.01, 1 - accuracy)
        RunDir(run).append_epoch(
            EpochRecord(epoch, 10 * epoch, 0.1, 2.0 / epoch, {}, val, seconds, 0.5, rate)
        )


def make_models(root: Path, error_rates: dict[str, float], *, seeds: int = 3, count: int = 200) -> Path:
    """For each model as many seeds, with two epochs each."""
    for place, (model, rate) in enumerate(error_rates.items()):
        for seed in range(seeds):
            run = root / f"{model}-{seed}"
            make_run(run, seed + 10 * place, model, model=model, error_rate=rate, count=count)
            write_epochs(run, [0.5, 1 - rate + seed / 100])
    return root


def guessed_run(
    root: Path, model: str, seed: int, labels: list[int], guesses: list[int], sure: list[float]
) -> None:
    """A run of three classes that predicts what is given, with a confidence for each image; -1: nothing."""
    rows = np.zeros((len(labels), 3), dtype=np.float32)
    for row, guess, confidence in zip(rows, guesses, sure, strict=True):
        if guess >= 0:
            row[:] = (1 - confidence) / 2
            row[guess] = confidence
    make_run(
        root / f"{model}-{seed}", seed, model, model=model, stored=(np.array(labels, dtype=np.int64), rows)
    )


def table_of(root: Path) -> Table:
    """The one table of the runs below a folder."""
    runs, problems = read_runs(find_run_dirs(root))
    assert not problems
    (table,) = compare_runs(runs, View(), statistics=True)
    return table
