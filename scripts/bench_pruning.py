"""Trials that are stopped early against trials that are not: the best validation accuracy, and the epochs.

The space is that of `conf/search/cnn.yaml`; both have the same seeds. 15 minutes on an idle core.

usage: python scripts/bench_pruning.py [--studies N] [--trials N] [--pruner NAME] [KEY=VALUE ...]
       (default: 3 studies, 40 trials, median, cnn_small on a tenth of MNIST)
"""

import argparse
import statistics

import torch
from trials_here import Searching

from bakeoff.config.adaptive import TuneConfig
from bakeoff.config.compose import parse_arguments
from bakeoff.config.studies import studies_of
from bakeoff.sweeps.search.storage import be_quiet

WORDS = ["model=cnn_small", "data=mnist_small"]


def main() -> None:
    """Prints a line for each study, then the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=3)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--pruner", choices=("median", "hyperband"), default="median")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    be_quiet()
    line = parse_arguments([*WORDS, *options.words])
    (plan,) = studies_of(line, TuneConfig())
    searching = Searching(line, plan, options.trials)
    worse, shares = [], []
    for seed in range(options.studies):
        pruned, whole = (searching.search("tpe", name, seed) for name in (options.pruner, "none"))
        worse.append(100 * (whole.best[-1] - pruned.best[-1]))
        shares.append(pruned.epochs / whole.epochs)
        print(
            f"study {seed}: {options.trials} trials: {options.pruner} {100 * pruned.best[-1]:.2f} % in "
            f"{pruned.epochs} epochs, unpruned {100 * whole.best[-1]:.2f} % in {whole.epochs}",
            flush=True,
        )
    print(
        f"medians: best validation accuracy {statistics.median(worse):.2f} points worse with "
        f"{options.pruner}, at {100 * statistics.median(shares):.0f} % of the epochs"
    )


if __name__ == "__main__":
    main()
