"""Searches whose report is looked at: all kinds of keys and trials."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reported_runs import write_epochs
from run_directories import make_run
from searched import ENDED, confirmed, trial, write_tune

KEYS = ("optim.lr", "model.depth", "model.pooling", "trainer.ema")


def results_of(folder: Path, study: str, count: int, keys: Sequence[str] = KEYS) -> list[dict[str, Any]]:
    """Trials by a known law: the first key decides, the others hardly do; each seventh pruned, one failed."""
    source = random.Random(study)
    results = []
    for number in range(count):
        rate = 10 ** source.uniform(-4, -1)
        chosen = [
            rate,
            source.choice([2, 4, 6]),
            source.choice(["max", "average"]),
            source.choice([True, None]),
        ]
        value = 0.97 - 0.01 * (math.log10(rate) + 2.5) ** 2 - 0.001 * source.random()
        params = dict(zip(keys, chosen, strict=False))
        name = f"{study[:20].replace('/', ' ')}-{number}"
        state = "failed" if number == 5 else "pruned" if number % 7 == 3 else "finished"
        if state == "pruned":
            make_run(folder / name, 0, f"{study} {number}", model="searched", count=20)
            (folder / name / "summary.json").unlink()
            write_epochs(folder / name, [0.5, value - 0.1])
        results.append(
            trial(study, number, None if state != "finished" else value, name, state=state, params=params)
        )
    return results


def write_searches(root: Path, studies: Sequence[str] = ("cnn", "vit"), keys: Sequence[str] = KEYS) -> Path:
    """One sweep with a study each, whose first trial was trained again with two seeds, and an open one."""
    folder = root / "sweeps" / "searched"
    results, again = [], []
    for place, study in enumerate(studies):
        results += results_of(folder, study, 24 if place else 40, keys)
        names = [f"again-{place}-{seed}" for seed in (1, 2)]
        for seed, name in enumerate(names, 1):
            make_run(
                folder / name, seed, f"{study} again", model=study, count=200, error_rate=0.05 * place + 0.05
            )
        again.append(confirmed(study, 1, 0, names))
    write_tune(folder, results, again=again, ended=ENDED)
    return root
