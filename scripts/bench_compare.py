"""Seconds and memory of `bakeoff compare` on many run directories.

usage: .venv/bin/python scripts/bench_compare.py [--folder DIR] [--repeats 3] [--seeds 50] [--more 10000]

1,000 runs of 20 settings with predictions of 10,000 images each, with and without statistics; 10,000 runs
without predictions, and three times as many; 1,000 settings of one such run each, and three times as many.
Wants 1.5 GB of room; files are warm, since they were just written. What is divided was measured in turns.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NUM_SETTINGS, NUM_IMAGES, NUM_CLASSES = 20, 10_000, 10
BARS = {"with statistics": (10.0, 400), "without statistics": (3.0, 400), "runs": (20.0, 500)}
MOST_TIMES_AS_LONG = 3.5  # for three times as many


def make_runs(root: Path, num_seeds: int) -> None:
    """Runs whose accuracy falls from setting to setting, each a little by luck of its seed."""
    random = np.random.default_rng(0)
    labels = np.arange(NUM_IMAGES) % NUM_CLASSES
    hardness = random.normal(size=NUM_IMAGES)
    for setting in range(NUM_SETTINGS):
        for seed in range(num_seeds):
            skill = 2.2 - 0.02 * setting + 0.03 * random.normal()
            right = skill + 0.5 * random.normal(size=NUM_IMAGES) > hardness
            guesses = np.where(
                right, labels, (labels + random.integers(1, NUM_CLASSES, NUM_IMAGES)) % NUM_CLASSES
            )
            rows = np.full((NUM_IMAGES, NUM_CLASSES), 0.01, dtype=np.float32)
            rows[np.arange(NUM_IMAGES), guesses] = 0.9
            write_run(root / f"{setting}-{seed}", f"{setting:02}", seed, labels, rows)


def write_run(path: Path, setting: str, seed: int, labels: np.ndarray, rows: np.ndarray | None) -> None:
    """One finished run, by the program's own writers."""
    from bakeoff.config.schema import defaults
    from bakeoff.evaluation import metrics
    from bakeoff.runs.rundir import RunDir

    run = RunDir(path)
    path.mkdir(parents=True)
    scored = rows if rows is not None else np.eye(NUM_CLASSES, dtype=np.float32)[labels]
    scores = metrics.score(labels, scored, [str(number) for number in range(NUM_CLASSES)])
    config = defaults() | {"model": {"name": f"net{setting}", "family": "cnn"}, "seed": seed, "schema": 1}
    environment = {
        "host": "h", "device": "cpu", "device_name": "c", "precision": "fp32", "threads": 2, "torch": "2",
        "torchvision": "0", "started": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    per_class = [vars(item) for item in scores.per_class]
    summary = {
        "schema": 1, "run_id": path.name, "identity": path.name, "setting": setting, "status": "finished",
        "model": f"net{setting}", "family": "cnn", "weights": "none", "data": "bench", "seed": seed,
        "test": vars(scores) | {"per_class": per_class}, "time": {"train_seconds": 1.0, "total_seconds": 2.0},
        "cost": {"parameters": 1000}, "fingerprint": {"test_split": "t", "train_split": "x", "code": "c"},
    }  # fmt: skip
    for name, content in (("config", config), ("environment", environment), ("summary", summary)):
        (path / f"{name}.json").write_text(json.dumps(content))
    (path / "status.json").write_text(json.dumps({"status": "finished", "heartbeat": "2026"}))
    if rows is not None:
        run.write_predictions("test", np.arange(len(labels)), labels, rows)


def measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak resident MB of one command."""
    began = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "bakeoff", "compare", *arguments, "-o", os.devnull],
        os.environ,
    )
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, arguments
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def make_more(root: Path, num_runs: int, num_settings: int) -> None:
    """Runs without predictions."""
    labels = np.arange(100) % NUM_CLASSES
    for number in range(num_runs):
        path = root / str(number % 100) / str(number)
        write_run(path, f"{number % num_settings:02}", number, labels, None)


def report(name: str, arguments: list[str], repeats: int) -> None:
    """Prints the figures of one command beside their bars."""
    figures = [measured(arguments) for _ in range(repeats)]
    seconds, megabytes = np.median([figure[0] for figure in figures]), max(f[1] for f in figures)
    bar, most = BARS[name]
    print(f"{name:20} {seconds:6.2f} s (bar {bar:g} s)  {megabytes:5.0f} MB (bar {most})", flush=True)


def report_growth(name: str, trees: list[Path], repeats: int) -> None:
    """Prints how much longer three times as many take, measured in turns."""
    rounds = [[measured([str(tree)]) for tree in trees] for _ in range(repeats)]
    seconds = [np.median([figures[place][0] for figures in rounds]) for place in (0, 1)]
    ratio = np.median([figures[1][0] / figures[0][0] for figures in rounds])
    megabytes = max(figures[1][1] for figures in rounds)
    print(
        f"{name:20} {seconds[0]:6.2f} s (bar {BARS['runs'][0]:g} s)\n{'  three times as many':20} "
        f"{seconds[1]:6.2f} s, {ratio:.2f} times as long (bar {MOST_TIMES_AS_LONG:g})  "
        f"{megabytes:5.0f} MB (bar {BARS['runs'][1]})",
        flush=True,
    )


def main() -> None:
    """Prints the figures beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the runs are written (a temporary folder)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=50, help="runs of each of the 20 settings")
    parser.add_argument("--more", type=int, default=10_000, help="runs without predictions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        many = Path(folder) / "1000"
        make_runs(many, options.seeds)
        report("with statistics", [str(many)], options.repeats)
        report("without statistics", [str(many), "--no-statistics"], options.repeats)
        for num_runs, num_settings, name in (
            (options.more, NUM_SETTINGS, f"{options.more:,} runs"),
            (options.more // 10, None, f"{options.more // 10:,} settings"),
        ):
            trees = [Path(folder) / f"{name} {times}" for times in (1, 3)]
            for tree, total in zip(trees, (num_runs, 3 * num_runs), strict=True):
                make_more(tree, total, num_settings or total)
            report_growth(name, trees, options.repeats)


if __name__ == "__main__":
    main()
