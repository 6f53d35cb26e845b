"""Does fine-tuning help, and does keeping features save time? AlexNet at 64 pixels, real MNIST.

usage: BAKEOFF_DATA=... .venv/bin/python scripts/bench_finetune.py [--seeds 10] [--epochs 10] [KEY=VALUE ...]

Pre-trains on the digits 0 to 4, then learns 5 to 9 from 500 labels (no others: no validation
images), from that run and from scratch, with the same settings, labels and seeds. Then trains the
head alone and times its epochs. What has finished in DIR is not trained again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bakeoff.comparison.statistics.noise import guard, noise_of
from bakeoff.comparison.statistics.pairs import Difference, difference_of, table_df

ALEXNET = ["model=alexnet", "model.image_size=64"]
PRETRAINING = ["data.classes=[0,1,2,3,4]", "model.weights=none", "sweep.name=pretraining"]
FEW_LABELS = [
    "data.classes=[5,6,7,8,9]",
    "data.val_fraction=0",
    "trainer.select=last",
    "trainer.batch_size=64",
]


def train(outputs: Path, overrides: Sequence[str]) -> None:
    """Runs a sweep in processes of its own; what has finished is passed over."""
    command = [sys.executable, "-P", "-m", "bakeoff", "train", "--multirun", *overrides]
    subprocess.run([*command, f"output_dir={outputs}"], check=True)


def correct(outputs: Path, sweep: str, seeds: int) -> np.ndarray:
    """Whether each test image was right, [seeds, images]."""
    rows = []
    for seed in range(seeds):
        (run,) = (outputs / "sweeps" / sweep).glob(f"*-s{seed}-*")
        with np.load(run / "predictions.npz", allow_pickle=False) as stored:
            rows.append(stored["probabilities"].argmax(axis=1) == stored["label"])
    return np.stack(rows)


def tested(a: np.ndarray, b: np.ndarray) -> Difference:
    """A minus B as `compare` tests it, from [seeds, images] each."""
    sides = guard([noise_of(a.astype(float)), noise_of(b.astype(float))])
    return difference_of(sides[0], sides[1], "accuracy", table_df(sides))


def seconds_by_epoch(run: Path, model: Sequence[str], num_images: int) -> tuple[list[float], int, int]:
    """Trains the head alone on the other digits; seconds, images through the backbone, images."""
    from bakeoff.config.compose import expand, parse_arguments
    from bakeoff.experiment.gates import prepare
    from bakeoff.models.finetune import FineTuned
    from bakeoff.runs.records import EpochRecord
    from bakeoff.training.loop import fit
    from bakeoff.training.optim import make_optimizer
    from bakeoff.training.state import start

    line = [*model, "data=mnist_plain", "data.classes=[5,6,7,8,9]", f"model.weights={run}"]
    line += ["model.freeze=all_but_head", "trainer.epochs=6", f"data.train_limit={num_images}"]
    prepared = prepare(expand(parse_arguments(line))[0][0].values)
    network, config = prepared.model, prepared.config
    assert isinstance(network, FineTuned)
    assert network.cache is not None
    optimizer = make_optimizer(network.parameter_groups(), config.optim)
    state = start(network, optimizer, config.trainer, prepared.runtime)
    events = fit(state, prepared.data.train, None, config, prepared.runtime)
    seconds = [event.train_seconds for event in events if isinstance(event, EpochRecord)]
    return seconds, network.cache.num_computed, len(prepared.data.train)


def main() -> None:
    """Prints both results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--outputs", type=Path, default=Path("outputs/bench_finetune"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10, help="on the few labels")
    parser.add_argument("--labels", type=int, default=500, help="how few they are")
    parser.add_argument("--head-images", type=int, default=5000, help="that the head alone is trained with")
    parser.add_argument("model", metavar="KEY=VALUE", nargs="*", help="another network than AlexNet")
    options = parser.parse_args()
    model = options.model or ALEXNET
    outputs, seeds = options.outputs, ",".join(map(str, range(options.seeds)))
    train(outputs, [*model, *PRETRAINING])
    (run,) = (outputs / "sweeps" / "pretraining").glob("*-s0-*")
    rights = []
    for name, weights in (("scratch", "none"), ("finetuned", str(run))):
        sweep = f"{name}-{options.epochs}"
        line = [f"trainer.epochs={options.epochs}", f"seed={seeds}", f"model.weights={weights}"]
        line += [f"data.train_limit={options.labels}"]
        train(outputs, [*model, *FEW_LABELS, *line, f"sweep.name={sweep}"])
        rights.append(correct(outputs, sweep, options.seeds))
    scratch, finetuned = rights
    pretrained = json.loads((run / "summary.json").read_text())["test"]["accuracy"]
    print(f"pre-trained on 0 to 4: {pretrained:.2%}")
    for name, rows in (("from scratch", scratch), ("fine-tuned", finetuned)):
        print(f"{name:12} {rows.mean():.2%}  by seed {' '.join(f'{row.mean():.2%}' for row in rows)}")
    pair = tested(finetuned, scratch)
    print(f"difference {pair.difference:.2%} (95 %: {pair.low:.2%} to {pair.high:.2%}), p {pair.p:.4f}")
    seconds, computed, images = seconds_by_epoch(run, model, options.head_images)
    later = statistics.median(seconds[1:]) / seconds[0]
    print(f"head alone: epochs of {' '.join(f'{value:.3f}' for value in seconds)} s; later ones {later:.1%}")
    print(f"images through the backbone: {computed:,} of {images:,}")


if __name__ == "__main__":
    main()
