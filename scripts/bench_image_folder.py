"""Loads a folder of 20,000 small JPEGs: seconds, and memory against the tensor they end in.

usage: .venv/bin/python scripts/bench_image_folder.py [--folder DIR] [--pictures 20000]

The pictures are 96x72 pixels, made by this script and kept in DIR, if one is given; they are scaled to 64x64.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

NUM_CLASSES = 10

LOAD = """
import resource, sys, time
from bakeoff import data
from bakeoff.config.schema import DataConfig
from bakeoff.data import image_folder  # what the first import takes is not the loader's

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
begin = time.perf_counter()
loaded = data.load(DataConfig(name="image_folder", root=sys.argv[1], image_size=64))
seconds = time.perf_counter() - begin
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
splits = [split for _, split in loaded.splits() if split]
num_bytes = sum(split.num_bytes for split in splits)
print("pictures:", sum(map(len, splits)))
print(f"seconds: {seconds:.1f}")
print(f"tensor, MiB: {num_bytes / 2**20:.0f}")
print(f"peak memory / tensor: {(after - before) / num_bytes:.2f}")
"""


def make_pictures(root: Path, count: int) -> None:
    """Smooth random JPEGs in train/<class>/ and test/<class>/."""
    import numpy as np
    from PIL import Image

    random = np.random.RandomState(0)
    for number in range(count):
        part = "test" if number % 5 == 0 else "train"
        folder = root / part / f"class{number // 5 % NUM_CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.randint(0, 256, (9, 12, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((96, 72)).save(folder / f"{number:05}.jpg", quality=85)


def main() -> None:
    """Makes the pictures if needed and loads them in a fresh process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--pictures", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.folder or Path(scratch)
        if not (root / "train").is_dir():
            make_pictures(root, options.pictures)
        print(f"{len(os.sched_getaffinity(0))} cores", flush=True)
        subprocess.run([sys.executable, "-c", LOAD, root], check=True)


if __name__ == "__main__":
    main()
