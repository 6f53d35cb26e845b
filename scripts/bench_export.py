"""Exported models against their own runs: probabilities on test images, and latency of one image.

usage: .venv/bin/python scripts/bench_export.py [--images 1000] [--repeats 5] [--formats onnx pt2] [RUN ...]

Each RUN, a finished run directory with its data at hand, is exported to a temporary folder, opened again,
and rates test images in fp32 with one thread. Latency is the median over the repeats of the median over 200
calls, bytes in and probabilities out, the run's own model and the file in turn. Without RUN a CNN is trained
on the digits for one epoch.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

CALLS = 200


def trained_now(folder: Path) -> Path:
    """A run of a second."""
    from bakeoff.config.compose import expand, parse_arguments
    from bakeoff.experiment.train import train
    from bakeoff.machine.signals import StopSignal

    (job,), _ = expand(parse_arguments(["data=digits", "trainer.epochs=1", f"output_dir={folder}"]))
    return train(job, StopSignal())


def milliseconds(rate: Callable[[], object]) -> float:
    """Median over some calls."""
    seconds = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        rate()
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds)


def measure(path: Path, form: str, images_wanted: int, repeats: int, folder: Path) -> str:
    """A line of the table."""
    import numpy as np
    import torch

    from bakeoff.deploy.export.opened import open_exported
    from bakeoff.deploy.export.write import export
    from bakeoff.deploy.trained import open_trained
    from bakeoff.deploy.with_data import prepared_with_data
    from bakeoff.models.base import evaluating

    trained = open_trained(path, "cpu", threads=1, precision="fp32")
    test = prepared_with_data(trained.run, "cpu").data.test
    torch.set_num_threads(1)  # reading the data has set the run's
    images = test.images(torch.arange(min(images_wanted, len(test))))
    begin = time.perf_counter()
    written = export(trained, form, folder / f"model.{form}", images[:256])
    seconds = time.perf_counter() - begin
    exported = open_exported(written.path, threads=1)
    own, theirs = trained.probabilities(images), exported.probabilities(images.numpy())
    same = int((own.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    one, one_array = images[:1], images[:1].numpy()
    with evaluating(trained.model):
        times = [
            (
                milliseconds(lambda: trained.model.probabilities(one)),
                milliseconds(lambda: exported.probabilities(one_array)),
            )
            for _ in range(repeats)
        ]
    before, after = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(first / second for first, second in times)
    name, difference = trained.config.model["name"], np.abs(own - theirs).max()
    return (
        f"{name:18}{form:6}{seconds:8.1f}{written.num_bytes / 1e6:9.2f}{same:7,}/{len(images):<6,}"
        f"{difference:10.1e}{before:10.3f}{after:10.3f}{ratio:8.1f}"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--formats", nargs="+", default=["onnx", "pt2"], choices=["onnx", "pt2"])
    parser.add_argument("runs", metavar="RUN", nargs="*", type=Path)
    options = parser.parse_args()
    print(
        f"{'model':18}{'file':6}{'seconds':>8}{'MB':>9}{'same class':>14}{'differs':>10}{'own ms':>10}"
        f"{'file ms':>10}{'faster':>8}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for run in options.runs or [trained_now(folder)]:
            for form in options.formats:
                print(measure(run, form, options.images, options.repeats, folder), flush=True)


if __name__ == "__main__":
    main()
