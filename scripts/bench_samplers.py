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

import torch
from scipy.stats import t
from trials_here import Searching

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import parse_arguments
from bakeoff.config.studies import studies_of
from bakeoff.sweeps.search.storage import be_quiet

WORDS = ["model=cnn_small", "data=digits", "trainer.epochs=3"]
SPACE = [
    "optim.lr=interval(1e-5,1)",
    "optim.weight_decay=interval(1e-5,1)",
    "optim.warmup=interval(0,0.5)",
    "model.conv_dropout=interval(0,0.5)",
    "trainer.batch_size=choice(32,64,128,256)",
]


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
    searching, differences = Searching(line, plan, options.trials), []
    for seed in range(options.studies):
        found = {name: searching.search(name, "none", seed).best[-1] for name in ("tpe", "random")}
        differences.append(100 * (found["tpe"] - found["random"]))
        told = ", ".join(f"{name} {100 * best:.2f} %" for name, best in found.items())
        print(f"study {seed}: best validation accuracy after {options.trials} trials: {told}", flush=True)
    mean, low, high = interval(differences)
    print(f"tpe better by {mean:.2f} points (95 % interval: {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
