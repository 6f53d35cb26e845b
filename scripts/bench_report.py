"""Seconds, memory and size of `bakeoff report`.

usage: .venv/bin/python scripts/bench_report.py [--folder DIR] [--repeats 3] [--cases 3] [--runs DIR]

Runs of 10,000 images of 28 by 28 pixels in 10 classes, with 20 epochs each: 5 configurations with 3 seeds, 50
with 1, and 200 runs (50 with 4). `--runs` measures the page of real runs, too. Needs the extra `report`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_compare import NUM_CLASSES, NUM_IMAGES, write_run

NUM_EPOCHS, SIDE = 20, 28
TEST_HASH = "ab" * 32


class Bar(NamedTuple):
    """What a page may take."""

    settings: int
    seeds: int
    seconds: float
    megabytes_of_memory: float
    megabytes_of_file: float


NO_BAR = float("inf")
BARS = {
    "5 configurations, 3 seeds": Bar(5, 3, 10, NO_BAR, 6),
    "50 configurations, 1 seed": Bar(50, 1, NO_BAR, NO_BAR, 12),
    "200 runs (50 of 4 seeds)": Bar(50, 4, 40, 600, 12),
}


def make_runs(root: Path, bar: Bar) -> None:
    """Configurations that differ in optim.lr, each a little worse than the one before."""
    from bakeoff.runs.kept_images import write_test_images

    random = np.random.default_rng(0)
    labels = np.arange(NUM_IMAGES) % NUM_CLASSES
    pixels = random.integers(0, 256, (NUM_IMAGES, 1, SIDE, SIDE), dtype=np.uint8)
    root.mkdir(parents=True)
    write_test_images(root, TEST_HASH, pixels, labels)
    hardness = random.normal(size=NUM_IMAGES)
    for setting in range(bar.settings):
        for seed in range(bar.seeds):
            skill = 2.2 - 0.02 * setting + 0.03 * random.normal()
            logits = random.normal(size=(NUM_IMAGES, NUM_CLASSES))
            logits[np.arange(NUM_IMAGES), labels] += 3 * (skill - hardness)
            rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            run = root / f"{setting}-{seed}"
            write_run(run, f"{setting:02}", seed, labels, rows.astype(np.float32))
            complete(run, setting, seed)


def complete(run: Path, setting: int, seed: int) -> None:
    """What a comparison does not need: a history, a hash of the images, keys that differ."""
    from bakeoff.runs.records import EpochRecord, ValidationScores
    from bakeoff.runs.rundir import RunDir

    config = json.loads((run / "config.json").read_text())
    config["optim"]["lr"] = 0.001 * (setting + 1)
    (run / "config.json").write_text(json.dumps(config))
    summary = json.loads((run / "summary.json").read_text())
    summary["fingerprint"]["test_split"] = TEST_HASH
    (run / "summary.json").write_text(json.dumps(summary))
    records = []
    for epoch in range(1, NUM_EPOCHS + 1):
        val = ValidationScores(1 - 1 / (epoch + 1 + seed), 0.5, 1 / epoch)
        records.append(EpochRecord(epoch, 100 * epoch, 0.1, 1 / epoch, {}, val, 2.0, 0.5, 5e3))
    RunDir(run).rewrite_epochs(records)


def measured(root: Path, output: Path) -> tuple[float, float, float]:
    """Seconds, peak resident MB of the command, MB of its file."""
    arguments = [sys.executable, "-P", "-m", "bakeoff", "report", str(root), "-o", str(output)]
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(sys.executable, arguments, os.environ, file_actions=silent), 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in (0, 7):
        sys.exit(f"bakeoff report {root} failed")
    return seconds, usage.ru_maxrss / 1e3, output.stat().st_size / 1e6


def main() -> int:
    """Measures, prints a line each; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where to make the runs (default: a temporary folder)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", type=int, default=len(BARS), help="how many of the three")
    parser.add_argument("--runs", type=Path, help="real runs to measure as well")
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        chosen = list(BARS.items())[: options.cases]
        cases = {title: (folder / str(number), bar) for number, (title, bar) in enumerate(chosen)}
        for root, bar in cases.values():
            make_runs(root, bar)
        if options.runs:
            cases[str(options.runs)] = (options.runs, BARS["5 configurations, 3 seeds"])
        for title, (root, bar) in cases.items():
            found = [measured(root, folder / "page.html") for _ in range(options.repeats)]
            seconds, memory, size = (sorted(values)[len(values) // 2] for values in zip(*found, strict=True))
            print(f"{title}: {seconds:.1f} s, {memory:.0f} MB of memory, {size:.2f} MB")
            limits = (bar.seconds, bar.megabytes_of_memory, bar.megabytes_of_file)
            missed += any(value > limit for value, limit in zip((seconds, memory, size), limits, strict=True))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
