"""Real runs of one setting, split at random: how often do the statistics call nothing a difference?

60 cheap runs on real MNIST are trained here, or read from $BAKEOFF_SIXTY_RUNS, a folder of run directories
of one setting.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from simulation import called_real

from bakeoff.comparison.read import read_runs
from bakeoff.comparison.statistics.values import METRICS, Outcomes, outcomes
from bakeoff.config.compose import expand, parse_arguments
from bakeoff.evaluation.prediction import predict
from bakeoff.experiment.gates import prepare
from bakeoff.runs.locate import find_run_dirs
from bakeoff.training.loop import fit
from bakeoff.training.optim import make_optimizer
from bakeoff.training.state import start

pytestmark = [pytest.mark.slow, pytest.mark.mnist]
NUM_RUNS = 60
SETTING = [
    "model=cnn_small", "data=mnist_plain", "data.train_limit=5000", "data.val_fraction=0", "model.dropout=0.3",
    "trainer.epochs=3", "trainer.threads=1", "trainer.select=last",
]  # fmt: skip
SPLITS = 2_000
HIGHEST = 0.066  # the 99.9 % binomial limit of 5 %


@pytest.fixture(scope="module")
def runs(mnist_root: str) -> list[Outcomes]:
    if folder := os.environ.get("BAKEOFF_SIXTY_RUNS"):
        stored, problems = read_runs(find_run_dirs(Path(folder)))
        assert not problems
        assert len({run.summary["setting"] for run in stored}) == 1
        return [run.outcomes for run in stored if run.outcomes]
    found, dataset = [], None
    for seed in range(NUM_RUNS):
        line = [*SETTING, f"seed={seed}", f"data.root={mnist_root}"]
        prepared = prepare(expand(parse_arguments(line))[0][0].values, dataset)
        dataset, where = prepared.data, prepared.runtime
        optimizer = make_optimizer(prepared.model.parameter_groups(), prepared.config.optim)
        state = start(prepared.model, optimizer, prepared.config.trainer, where)
        for _ in fit(state, dataset.train, None, prepared.config, where):
            pass
        said = predict(state.model, dataset.test, where)
        found.append(outcomes(said.index, said.label, said.probabilities))
    return found


@pytest.mark.parametrize("sides", [(2, 2), (3, 3), (5, 5), (10, 10), (2, 5), (3, 10)], ids=str)
def test_one_setting_is_rarely_called_two(runs: list[Outcomes], sides: tuple[int, int]) -> None:
    """Two groups of runs and half of the images, drawn 2,000 times from the same setting."""
    assert len(runs) >= NUM_RUNS
    random = np.random.default_rng(400 + sum(sides))
    counts = dict.fromkeys(METRICS, 0)
    for _ in range(SPLITS):
        images = random.permutation(len(runs[0].labels))[: len(runs[0].labels) // 2]
        drawn = random.permutation(len(runs))[: sum(sides)]
        chosen = [
            Outcomes(one.labels[images], one.guesses[images], one.nll[images], one.num_classes)
            for one in (runs[number] for number in drawn)
        ]
        for metric in METRICS:
            counts[metric] += called_real([chosen[: sides[0]], chosen[sides[0] :]], metric)
    shares = {metric: count / SPLITS for metric, count in counts.items()}
    print(f"{sides}: called real {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}")
    assert max(shares.values()) <= HIGHEST
