"""Kills trainings at random instants, goes on until they finish, and compares them with undisturbed ones.

    .venv/bin/python scripts/try_resume.py   # 100 kills of the CNN, 10 of each other family and combination
    .venv/bin/python scripts/try_resume.py cnn_small --kills 20 --seed 3

A trial is one run that is killed with SIGKILL again and again until a part of it ends by itself. All files
of its directory must be those of the undisturbed run, but for times, hosts and the log. Half of the kills
come at any time, the other half where the fewest have landed so far: an epoch, a validation, a save, the
finish. Ends with 1 if one run differs.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from killed_runs import Killer, faults, result_of, train_until_done
from run_phases import BEFORE, PHASES, SAVE, TRAINING

SECONDS_BETWEEN_SAVES = 0.05
COMMON = [
    "data=digits", "trainer.threads=1", "trainer.deterministic=true", "trainer.device=cpu",
    f"trainer.checkpoint_every_seconds={SECONDS_BETWEEN_SAVES}",
]  # fmt: skip
SMALL_DETECTOR = ["model.weights=none", "model.image_size=64", "trainer.overfit_batches=2"]
# Of each family a small one: overrides for a run of seconds, and its kills.
MODELS: dict[str, tuple[list[str], int]] = {
    "cnn_small": (["trainer.epochs=24", "trainer.batch_size=64"], 100),
    "vit": (["trainer.epochs=6", "model.depth=1", "model.width=32", "data.train_limit=400"], 10),
    "faster_rcnn": (["trainer.epochs=3", "model.channels=[8,8]", "data.train_limit=200"], 10),
    "shufflenet_small": (["trainer.epochs=3", "data.train_limit=200"], 10),
    "lab_faster_rcnn": (["trainer.epochs=2", "trainer.batch_size=2", *SMALL_DETECTOR], 10),
}
KILLS_OF_A_COMBINATION = 10
FACTORS: dict[str, list[list[str]]] = {
    "schedule": [[f"optim.schedule={name}"] for name in ("one_cycle", "cosine", "step", "constant")],
    "average": [[], ["trainer.ema_decay=0.9"]],
    "accumulation": [[], ["trainer.accumulate=3"]],
    "early stopping": [[], ["trainer.early_stopping_patience_epochs=1", "trainer.epochs=8"]],
    "clipping": [["optim.clip_norm=null"], ["optim.clip_norm=0.1"]],
    "kept features": [[], ["model.freeze=all_but_head"]],
}
# A row is one combination: the level of each factor. Any two levels of two factors meet in a row.
COMBINATIONS = [
    (0, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 0),
    (1, 1, 1, 1, 0, 0), (1, 0, 0, 0, 1, 1),
    (2, 1, 1, 0, 1, 0), (2, 0, 0, 1, 0, 1),
    (3, 1, 0, 1, 1, 0), (3, 0, 1, 0, 0, 1),
]  # fmt: skip
SMALL = ["model=shufflenet_small", "trainer.epochs=4", "data.train_limit=150", "trainer.batch_size=30"]


def words_of(row: tuple[int, ...]) -> list[str]:
    """The overrides of a combination."""
    levels = [levels[place] for levels, place in zip(FACTORS.values(), row, strict=True)]
    return [*SMALL, *(word for words in levels for word in words)]


def trials() -> dict[str, tuple[list[str], int]]:
    """Name -> overrides and kills."""
    models = {name: ([f"model={name}", *words], kills) for name, (words, kills) in MODELS.items()}
    combined = {
        f"combination{number}": (words_of(row), KILLS_OF_A_COMBINATION)
        for number, row in enumerate(COMBINATIONS, start=1)
    }
    return models | combined


def main() -> int:
    """Prints a line for each; 1 if a run is not as the undisturbed one."""
    known = trials()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(known), help=", ".join(known))
    parser.add_argument("--kills", type=int, help="of each")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    given = parser.parse_args()
    import_all()
    folder = Path(tempfile.mkdtemp(prefix="try_resume-"))
    total: Counter[str] = Counter()
    for name in given.names:
        words, kills = known[name]
        chance = random.Random(f"{name} {given.seed}")
        total += try_runs(name, [*COMMON, *words], given.kills or kills, chance, folder)
    print(f"all: {total['kills']} kills in {total['runs']} runs, {total['different']} of them different")
    print(f"seed {given.seed}; landed in {landed(total)}")
    if not total["different"]:
        shutil.rmtree(folder)
    return 1 if total["different"] else 0


def import_all() -> None:
    """Once, before any fork; a forked process cannot use the threads of its parent."""
    import sklearn.datasets  # noqa: F401 - of the digits
    import torch
    import torch._inductor  # of `trainer.deterministic`
    import torchvision  # noqa: F401

    from bakeoff.experiment import resume, train  # noqa: F401

    torch.set_num_threads(1)


def try_runs(name: str, words: list[str], kills: int, chance: random.Random, folder: Path) -> Counter[str]:
    """Trains once undisturbed, then until so many kills have hit; prints and counts."""
    start = time.monotonic()
    straight = train_until_done(words, folder / f"{name}-0", None)
    assert straight.board.mean_seconds(SAVE), "no checkpoint was made"
    expected = result_of(straight.run)
    lengths = {phase: straight.board.mean_seconds(phase) for phase in PHASES}
    lengths |= {TRAINING: straight.seconds, BEFORE: SECONDS_BETWEEN_SAVES}
    killer = Killer(chance, straight.seconds, lengths)
    count: Counter[str] = Counter()
    while count["kills"] < kills:
        trial = train_until_done(words, folder / f"{name}-{count['runs'] + 1}", killer)
        count.update(
            runs=1, kills=len(trial.kills), trained=trial.board.trained, steps=straight.board.trained,
            **Counter(trial.kills),
        )  # fmt: skip
        count[BEFORE] += trial.before_first_checkpoint
        if wrong := faults(trial, expected):
            count["different"] += 1
            print(f"{name}: {trial.run}: {'; '.join(wrong)}", flush=True)
        else:
            shutil.rmtree(trial.run.parents[1])
    same = count["runs"] - count["different"]
    print(f"{name}: {' '.join(words)}")
    print(
        f"  {count['kills']} kills in {count['runs']} runs, {same} of {count['runs']} the same; "
        f"{count['trained']} steps trained for {count['steps']}; {time.monotonic() - start:.0f} s"
    )
    print(f"  landed in {landed(count)}", flush=True)
    return count


def landed(count: Counter[str]) -> str:
    """Where kills came, in words."""
    places = ", ".join(f"{phase} {count[phase]}" for phase in PHASES)
    return f"{places}; of them {BEFORE} {count[BEFORE]}"


if __name__ == "__main__":
    sys.exit(main())
