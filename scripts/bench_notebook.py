"""bakeoff against the notebook loop, on real MNIST: images/s, and time to 99 % validation accuracy.

usage: BAKEOFF_DATA=DIR .venv/bin/python scripts/bench_notebook.py [--pairs 5] [--seeds 3] [--images 12800]

Times are of training alone; both loops run in this process, in turn, with the same threads.
"""

# ruff: noqa: E402 - the environment is set before torch loads
from bakeoff.machine import environment

environment.prepare()

import argparse
import statistics

import notebook_loop
import torch
from torch import nn
from torch.utils.data import Subset

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.selection import stratified
from bakeoff.data.splits import Split, TensorSplit
from bakeoff.evaluation.prediction import validate
from bakeoff.experiment.gates import Prepared, prepare
from bakeoff.machine.runtime import device_name
from bakeoff.training.loop import SavePoint, fit
from bakeoff.training.optim import make_optimizer
from bakeoff.training.state import TrainState, start

# The notebook's network, optimizer and batch in bakeoff's terms; no augmentation, as there.
SAME_NETWORK = [
    "data=mnist_plain",
    "model.channels=[32,64]",
    "model.pools=2",
    "model.global_pool=none",
    "model.norm=none",
    "model.hidden_sizes=[128]",
    "optim=adam",
    "trainer.batch_size=64",
    "trainer.epochs=1",
    "trainer.select=last",
]
TARGET = 0.99
CHECK_EVERY = 10_000
MOST_EPOCHS = 10


def prepared(overrides: list[str]) -> tuple[Prepared, TrainState]:
    """A bakeoff experiment before its first step."""
    ready = prepare(expand(parse_arguments(overrides))[0][0].values)
    optimizer = make_optimizer(ready.model.parameter_groups(), ready.config.optim)
    return ready, start(ready.model, optimizer, ready.config.trainer, ready.runtime)


def bakeoff_speed(images: Split) -> float:
    """Images per second of one epoch over `images`."""
    ready, state = prepared(SAME_NETWORK)
    for _ in fit(state, images, None, ready.config, ready.runtime):
        pass
    return len(images) / state.times["train"]


def compare_speed(root: str, pairs: int, num_images: int) -> None:
    """Prints images/s of both loops on the same network, pair by pair."""
    notebook_set = Subset(notebook_loop.load(root), range(num_images))
    whole = prepared(SAME_NETWORK)[0].data.train
    images = TensorSplit(whole.images(torch.arange(num_images)), whole.labels[:num_images])
    bakeoff_speed(images)  # warm up
    ratios = []
    print(f"\ntraining images/s, same network, batch {notebook_loop.BATCH_SIZE}, {num_images:,} images each")
    for pair in range(1, pairs + 1):
        ours = bakeoff_speed(images)
        theirs = num_images / notebook_loop.train(notebook_set, epochs=1, seed=pair)
        ratios.append(ours / theirs)
        print(
            f"  pair {pair}: bakeoff {ours:7,.0f}  notebook {theirs:7,.0f}  ratio {ratios[-1]:.2f}",
            flush=True,
        )
    print(f"  median ratio {statistics.median(ratios):.2f} (bar: 2)")


def bakeoff_to_target(seed: int, overrides: list[str]) -> tuple[int, float]:
    """Images and seconds of `model=cnn` as shipped until it reaches the target."""
    ready, state = prepared([*overrides, f"seed={seed}", "trainer.select=last"])
    batch, val = ready.config.trainer.batch_size, ready.data.val
    assert val is not None
    every = CHECK_EVERY // batch
    events = fit(
        state, ready.data.train, None, ready.config, ready.runtime, pause=lambda: state.step % every == 0
    )
    for event in events:
        if isinstance(event, SavePoint) and validate(state.model, val, ready.runtime).accuracy >= TARGET:
            return state.step * batch, state.times["train"]
    return state.step * batch, float("inf")


def notebook_to_target(seed: int, root: str) -> tuple[int, float]:
    """The same of the notebook loop, on the same training and validation images."""
    everything = notebook_loop.load(root)
    kept, held = stratified(everything.targets.numpy(), 0.1)
    images = torch.stack([everything[index][0] for index in held])
    labels = everything.targets[torch.from_numpy(held)]
    reached: list[tuple[int, float]] = []

    def check(network: nn.Module, images_seen: int, seconds: float) -> bool:
        with torch.no_grad():
            accuracy = (network(images).argmax(1) == labels).double().mean().item()
        if accuracy >= TARGET:
            reached.append((images_seen, seconds))
        return bool(reached)

    notebook_loop.train(Subset(everything, kept.tolist()), MOST_EPOCHS, seed, check, CHECK_EVERY)
    return reached[0] if reached else (MOST_EPOCHS * len(kept), float("inf"))


def compare_to_target(root: str, seeds: int, overrides: list[str]) -> None:
    """Prints images and seconds until 99 % validation accuracy, seed by seed."""
    print(
        f"\nto {TARGET:.0%} validation accuracy (6,000 images), checked every {CHECK_EVERY:,} training images"
    )
    ratios: dict[str, list[float]] = {"images": [], "seconds": [], "images x seconds": []}
    for seed in range(seeds):
        our_images, our_seconds = bakeoff_to_target(seed, overrides)
        their_images, their_seconds = notebook_to_target(seed, root)
        ratios["images"].append(their_images / our_images)
        ratios["seconds"].append(their_seconds / our_seconds)
        ratios["images x seconds"].append(their_images * their_seconds / (our_images * our_seconds))
        print(
            f"  seed {seed}: bakeoff {our_images:7,} images {our_seconds:5.1f} s   "
            f"notebook {their_images:7,} images {their_seconds:5.1f} s",
            flush=True,
        )
    shown = "  ".join(f"{name} {statistics.median(values):.2f}" for name, values in ratios.items())
    print(f"  median ratios, notebook to bakeoff: {shown} (bar: 5)")


def main() -> None:
    """Runs both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=12_800, help="of the first part")
    parser.add_argument("overrides", nargs="*", help="of the shipped CNN, to try another recipe")
    options = parser.parse_args()
    ready = prepared([])[0]
    root = ready.config.data.root
    print(
        f"{device_name(ready.runtime.device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"bakeoff in {ready.runtime.precision}, notebook in fp32"
    )
    compare_speed(root, options.pairs, options.images)
    compare_to_target(root, options.seeds, options.overrides)


if __name__ == "__main__":
    main()
