"""TPE against random search: the best validation accuracy after some trials, in several studies of each.

Trials are asked for and told as `bakeoff tune` does, and trained in this process one after the other:
without directories hundreds of trials take minutes. Both samplers have the same seeds. The space is a wide
one, in which most configurations are poor; words on the command line take its place.

usage: python scripts/bench_samplers.py [--studies N] [--trials N] [KEY=VALUE ...]
       (default: 5 studies, 30 trials, cnn_small on digits, three epochs)
"""

import argparse
import math
import statistics
from typing import Any

import optuna
import torch
from scipy.stats import t

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import CommandLine, parse_arguments
from bakeoff.config.job import Job
from bakeoff.config.studies import StudyPlan, job_of, studies_of
from bakeoff.data.splits import DataSet
from bakeoff.experiment.gates import prepare
from bakeoff.experiment.train import first_state
from bakeoff.runs.records import EpochRecord
from bakeoff.runs.states import FINISHED
from bakeoff.sweeps.search.metrics import metrics_of
from bakeoff.sweeps.search.storage import be_quiet
from bakeoff.sweeps.search.study import Rules, Study
from bakeoff.training.loop import fit

WORDS = ["model=cnn_small", "data=digits", "trainer.epochs=3"]
SPACE = [
    "optim.lr=interval(1e-5,1)",
    "optim.weight_decay=interval(1e-5,1)",
    "optim.warmup=interval(0,0.5)",
    "model.conv_dropout=interval(0,0.5)",
    "trainer.batch_size=choice(32,64,128,256)",
]


class Trainer:
    """Trains configurations on data that are read once."""

    def __init__(self) -> None:
        self._data: DataSet | None = None

    def best(self, job: Job) -> tuple[float, int]:
        """The best validation accuracy of a run, and its number of epochs."""
        prepared = prepare(job.values, self._data)
        self._data = prepared.data
        state = first_state(prepared)
        events = fit(state, prepared.data.train, prepared.data.val, prepared.config, prepared.runtime)
        known = [event.val.accuracy for event in events if isinstance(event, EpochRecord) and event.val]
        return max(known), len(known)


def search(
    line: CommandLine, plan: StudyPlan, sampler: str, seed: int, trials: int, trainer: Trainer
) -> list[float]:
    """The best value after each trial of one study."""
    rules = Rules(tuple(metrics_of("val.accuracy")), sampler, "none", seed, epochs=1)
    study = Study(plan, rules, trials, optuna.storages.InMemoryStorage())
    best: list[float] = []
    for _ in range(trials):
        trial = study.ask().trial
        value, epochs = trainer.best(job_of(line, plan, trial.params, seed, "bench"))
        study.tell(trial.number, FINISHED, (value,), epochs)
        best.append(max([value, *best[-1:]]))
    return best


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval (Student's t)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    margin = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - margin, mean + margin


def main() -> None:
    """Prints a line for each study, then the difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    be_quiet()
    line = parse_arguments([*WORDS, *(options.words or SPACE)])
    (plan,) = studies_of(line, TuneConfig())
    print("; ".join(f"{key} {told}" for key, told in plan.space.told().items()))
    trainer, differences = Trainer(), []
    for seed in range(options.studies):
        found: dict[str, Any] = {
            name: search(line, plan, name, seed, options.trials, trainer) for name in ("tpe", "random")
        }
        differences.append(100 * (found["tpe"][-1] - found["random"][-1]))
        told = ", ".join(f"{name} {100 * best[-1]:.2f} %" for name, best in found.items())
        print(f"study {seed}: best validation accuracy after {options.trials} trials: {told}", flush=True)
    mean, low, high = interval(differences)
    print(f"tpe better by {mean:.2f} points (95 % interval: {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
