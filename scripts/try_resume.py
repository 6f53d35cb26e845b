"""Kills trainings at random instants, goes on until they finish, and compares bits with undisturbed ones.

    .venv/bin/python scripts/try_resume.py   # 100 kills of the CNN, 10 of each other family
    .venv/bin/python scripts/try_resume.py cnn_small --kills 20 --seed 3

A trial is one run that is killed with SIGKILL after a random time, again and again, until a part of it
ends by itself. Processes are forked from one that has imported everything, so that a part costs no start-up.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MODELS = {
    # overrides that make a short run of each family; the last number: its kills by default
    "cnn_small": (["trainer.epochs=12"], 100),
    "vit": (["trainer.epochs=4", "model.depth=1"], 10),
    "faster_rcnn": (["trainer.epochs=2", "data.train_limit=200"], 10),
    "shufflenet_small": (["trainer.epochs=2", "data.train_limit=200"], 10),
}
SETTINGS = {
    "average": ["trainer.ema_decay=0.9"],
    "accumulation": ["trainer.accumulate=3"],
    "early stopping": ["trainer.early_stopping_patience_epochs=2"],
    "clipping": ["optim.clip_norm=0.1"],
    "kept features": ["model.freeze=all_but_head"],
}
COMMON = [
    "data=digits", "trainer.threads=1", "trainer.deterministic=true", "trainer.device=cpu",
    "trainer.checkpoint_every_seconds=0.05",
]  # fmt: skip


def main() -> int:
    """Prints a line for each model; 1 if a run ended with other bits."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("models", nargs="*", default=list(MODELS), help=", ".join(MODELS))
    options.add_argument("--kills", type=int, help="of each model")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--set", default="", metavar="WORDS", help="further overrides, such as trainer.ema_decay=0.9"
    )
    given = options.parse_args()
    os.environ["BAKEOFF_OUTPUTS"] = folder = tempfile.mkdtemp(prefix="try_resume-")
    import torch

    from bakeoff.experiment import resume, train  # noqa: F401 - imported once, before any fork

    torch.set_num_threads(1)
    failed = 0
    for name in given.models:
        words, kills = MODELS[name]
        words = [*COMMON, f"model={name}", *words, *given.set.split()]
        failed += try_model(
            name, words, given.kills or kills, random.Random(f"{name} {given.seed}"), Path(folder)
        )
    shutil.rmtree(folder)
    return 1 if failed else 0


def try_model(name: str, words: list[str], kills: int, chance: random.Random, folder: Path) -> int:
    """Trains once undisturbed, then until so many kills have hit; how many runs ended otherwise."""
    start = time.monotonic()
    straight = train_until_done(words, folder / f"{name}-straight", None)[0]
    longest = time.monotonic() - start
    expected = bits_of(straight)
    hit = runs = different = parts = 0
    while hit < kills:
        runs += 1
        run, killed = train_until_done(words, folder / f"{name}-{runs}", lambda: chance.uniform(0.1, longest))
        hit += killed
        parts += killed + 1
        if bits_of(run) != expected:
            different += 1
            print(f"{name}: run {runs} differs: {run}")
        else:
            shutil.rmtree(run.parent.parent)
    same = f"{runs - different} of {runs} with the same bits"
    print(f"{name}: {hit} kills in {runs} runs ({' '.join(words)}): {same}")
    return different


def train_until_done(words: list[str], outputs: Path, seconds: Any) -> tuple[Path, int]:
    """The run directory, and how often its process was killed."""
    killed, run = 0, None
    while True:
        ended = in_child(words, outputs, run, seconds and seconds())
        killed += not ended
        found = [path for path in outputs.glob("*/*") if path.parent.name != "datasets"]
        if len(found) > 1:
            raise AssertionError(f"{found}: more than one run directory")
        if ended:
            return found[0], killed
        # Killed before there was a run to go on with: from the beginning.
        run = found[0] if found and (found[0] / "attempts" / "0001" / "attempt.json").exists() else None
        if run is None and found:
            shutil.rmtree(found[0])


def in_child(words: list[str], outputs: Path, run: Path | None, seconds: float | None) -> bool:
    """Trains or goes on in a forked process; False if it was killed."""
    child = os.fork()
    if child == 0:
        work(words, outputs, run)
    if seconds is not None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            time.sleep(0.001)
        else:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    else:
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status) != 0:
        raise AssertionError(f"exit code {os.WEXITSTATUS(status)}: {run or outputs}")
    return True


def work(words: list[str], outputs: Path, run: Path | None) -> None:
    """What the child does; never returns."""
    from bakeoff.cli import main as bakeoff

    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    line = ["resume", str(run)] if run else ["train", *words, f"output_dir={outputs}"]
    code = bakeoff(line)
    os._exit(code)


def bits_of(run: Path) -> dict[str, str]:
    """Hashes of all that must be the same."""
    bits = {
        name: hashlib.sha256((run / name).read_bytes()).hexdigest()
        for name in ("weights.safetensors", "predictions.npz", "predictions_val.npz")
    }
    times = ("train_seconds", "eval_seconds", "train_images_per_second")
    lines = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    bits["epochs"] = json.dumps(
        [{key: value for key, value in line.items() if key not in times} for line in lines]
    )
    summary = json.loads((run / "summary.json").read_text())
    kept = (
        "identity",
        "setting",
        "epochs_run",
        "best_epoch",
        "test",
        "val",
        "train_loss_final",
        "fingerprint",
    )
    bits["summary"] = json.dumps({key: summary[key] for key in kept})
    return bits


if __name__ == "__main__":
    sys.exit(main())
