"""How often the intervals of recall and F1 by class, as a report draws them, hold the true value.

usage: .venv/bin/python scripts/study_class_intervals.py [--tables 400]

Made-up networks: each image has a hardness, each seed moves all images of a class together, and a wrong guess
falls on the next class. The truth is the mean over very many images and seeds. Wanted: 95 %, and rather more.
"""

import argparse
from itertools import product

import numpy as np

NUM_CLASSES, RUNS = 4, 3
CASES = list(product((20, 100, 1000), (0.7, 0.9, 0.985), (0.0, 0.3)))  # images a class, about recall, seed


def made(
    random: np.random.Generator, images: int, ease: float, seed_scatter: float, runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels int16 [n] and guesses int16 [runs, n]."""
    labels = np.repeat(np.arange(NUM_CLASSES), images)
    hardness = 2 * random.normal(size=len(labels))
    moved = seed_scatter * random.normal(size=(runs, NUM_CLASSES))
    right = random.random((runs, len(labels))) < 1 / (1 + np.exp(-(ease + hardness + moved[:, labels])))
    guesses = np.where(right, labels, (labels + 1) % NUM_CLASSES)
    return labels.astype(np.int16), guesses.astype(np.int16)


def main() -> None:
    """Prints a line for each case."""
    from bakeoff.report.evidence import class_scores

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", type=int, default=400, help="for each line")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    print("images a class, recall, scatter of seeds: share of intervals that hold the truth (median width)")
    for images, recall, scatter in CASES:
        ease = {0.7: 1.5, 0.9: 3.5, 0.985: 6.2}[recall]
        labels, guesses = made(random, 2000, ease, scatter, 200)
        truth = class_scores(labels, guesses, NUM_CLASSES)
        true = {"recall": np.mean([one.recall for one in truth]), "F1": np.mean([one.f1 for one in truth])}
        held: dict[str, list[bool]] = {"recall": [], "F1": []}
        widths: dict[str, list[float]] = {"recall": [], "F1": []}
        for _ in range(options.tables // NUM_CLASSES):
            for one in class_scores(*made(random, images, ease, scatter, RUNS), NUM_CLASSES):
                for name, interval in (("recall", one.recall_interval), ("F1", one.f1_interval)):
                    low, high = interval or (0.0, 1.0)
                    held[name].append(low <= true[name] <= high)
                    widths[name].append(high - low)
        told = [f"{n} {np.mean(held[n]):.1%} ({np.median(widths[n]) * 100:.1f} points)" for n in held]
        print(f"{images:5} {true['recall']:.3f} {scatter:.1f}: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
