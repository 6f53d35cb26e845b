"""What checkpoints cost: their share of the time of a training, and their room on the disk.

    BAKEOFF_DATA=... .venv/bin/python scripts/bench_checkpoints.py            # cnn and alexnet_small on MNIST
    BAKEOFF_DATA=... .venv/bin/python scripts/bench_checkpoints.py --seconds 60 model=vit data=mnist
    .venv/bin/python scripts/bench_checkpoints.py --saves 6 model=vgg16_small data=digits data.train_limit=20

A training of some minutes saves as `bakeoff train` does, and is then left. With --saves there is a checkpoint
after each step and each epoch: for the room that they take, not for their share.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import mmap
from pathlib import Path
from struct import pack_into, unpack_from

from bakeoff.machine import environment

environment.prepare()

# Long enough for two checkpoints of the one and one of the other.
MODELS = (["model=cnn", "data=mnist"], ["model=alexnet_small", "data=mnist"])


def main() -> int:
    """Prints a paragraph for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="of one training, in place of the two models on MNIST")
    parser.add_argument("--seconds", type=float, default=170.0, help="of each training")
    parser.add_argument("--saves", type=int, help="a checkpoint after each step, until there were so many")
    parser.add_argument(
        "--folder", help="where the run directory is made; else the folder of temporary files"
    )
    given = parser.parse_args()
    for words in [given.overrides] if given.overrides else MODELS:
        folder = Path(tempfile.mkdtemp(prefix="bench_checkpoints-", dir=given.folder))
        try:
            with most_on_disk(folder) as most:
                measure(words, folder, given.seconds, given.saves)
            print(f"  most on the disk at once {unpack_from('d', most)[0] / 1e6:,.1f} MB", flush=True)
        finally:
            shutil.rmtree(folder)
    return 0


def measure(words: list[str], folder: Path, seconds: float, saves: int | None) -> None:
    """Trains for some time, and prints what the saves took of it."""
    from bakeoff.config.compose import expand, parse_arguments
    from bakeoff.experiment.checkpointing import Keeper
    from bakeoff.experiment.gates import prepare
    from bakeoff.experiment.train import first_state
    from bakeoff.runs import attempts
    from bakeoff.runs.rundir import RunDir
    from bakeoff.training.loop import fit

    prepared = prepare(expand(parse_arguments([*words, f"output_dir={folder}"]))[0][0].values)
    config, runtime, state = prepared.config, prepared.runtime, first_state(prepared)
    run = RunDir.create(folder / "run")
    began = time.perf_counter()
    keeper = Keeper(run, state, config.trainer, began, attempts.begin(run.path, {}))
    took: list[float] = []

    def over() -> bool:
        return len(took) >= saves if saves else time.perf_counter() - began > seconds

    train, val = prepared.data.train, prepared.data.val
    for _ in fit(state, train, val, config, runtime, pause=lambda: bool(saves) or keeper.is_due or over()):
        if saves or keeper.is_due:
            before = state.times["save"]
            with state.times.phase("save", runtime.synchronize):
                keeper.save()
            took.append(state.times["save"] - before)
        if over():
            break
    newest, _ = keeper.checkpoints.newest()
    print(f"{' '.join(words)}: {state.step} steps, {state.epoch - 1} whole epochs, seed {config.seed}")
    phases = {name: state.times[name] for name in ("train", "eval", "save")}
    print("  " + ", ".join(f"{name} {value:.2f} s" for name, value in phases.items()), end="")
    whole = sum(phases.values())
    print(f": saving is {phases['save'] / whole:.2%} of the time")
    if took and not saves:  # the last one has not paid off yet
        until_due = max(0.0, keeper._saved_at + keeper._interval - time.monotonic())
        share = phases["save"] / (whole + until_due)
        print(
            f"  the next checkpoint is due in {until_due:.0f} s; until then saving is {share:.2%} of the time"
        )
    if newest is not None:
        parts = ", ".join(f"{name} {entry['bytes'] / 1e6:.1f}" for name, entry in newest.files.items())
        size = sum(entry["bytes"] for entry in newest.files.values()) / 1e6
        print(f"  {len(took)} checkpoints, {', '.join(f'{value:.2f}' for value in took)} s each")
        print(f"  {size:,.1f} MB ({parts}), {size * len(took) / sum(took):.0f} MB a second")


@contextmanager
def most_on_disk(folder: Path) -> Iterator[mmap]:
    """Another process looks at the folder all the time; what it saw is a double in shared memory."""
    most = mmap(-1, 8)
    watcher = os.fork()
    if watcher == 0:
        while True:
            if (size := bytes_on_disk(folder)) > unpack_from("d", most)[0]:
                pack_into("d", most, 0, size)
            time.sleep(0.01)
    try:
        yield most
    finally:
        os.kill(watcher, signal.SIGKILL)
        os.waitpid(watcher, 0)


def bytes_on_disk(folder: Path) -> int:
    """Of all files below, those with several names once."""
    sizes = {}
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found = os.lstat(Path(where, name))
                sizes[found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


if __name__ == "__main__":
    sys.exit(main())
