"""`bakeoff predict RUN... --evaluate`: runs alone and together on the test images of their data set."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.commands.places_here import options_named
from bakeoff.errors import OK
from bakeoff.machine.process import loading_torch
from bakeoff.machine.waiting import Bar, tell
from bakeoff.text import percent, printable

if TYPE_CHECKING:
    from bakeoff.deploy.predict.on_test_images import Scored


def evaluate_together(paths: list[Path], options: argparse.Namespace) -> int:
    """Prints the scores of each run and of all together.

    Raises:
        ConfigError: the runs were tested on different images, or tell other classes apart.
        DataError: the data are not here.
        RunsDifferError: a run is not finished or cannot be read.
    """
    with loading_torch():
        from bakeoff.deploy.predict.ensemble import open_ensemble
        from bakeoff.deploy.predict.on_test_images import check_same_test, scored

    check_same_test(paths)
    with options_named(options):
        ensemble = open_ensemble(paths, options.device)
        num_images = len(paths) * int(ensemble.members[0].run.summary["test"]["num_images"])
        with Bar("test", num_images) as bar:
            found = scored(ensemble, options.device, options.data_root, bar.move_to)
    if options.json:
        for one in found:
            _print_json(one)
        return OK
    title = printable(ensemble.members[0].run.data_title)
    tell(f"{found[0].scores.num_images:,} test images of {title}")
    width = max(len("run"), *(len(one.name) for one in found))
    print(f"{'run':{width}}  accuracy  95 % interval     macro-F1  loss (NLL)")
    for one in found:
        low, high = (100 * share for share in one.interval)
        scores = one.scores
        print(
            f"{one.name:{width}}  {percent(scores.accuracy):>8}  {low:6.2f} to {high:6.2f}  "
            f"{percent(scores.macro_f1):>9}  {scores.nll:10.4f}"
        )
    return OK


def _print_json(one: "Scored") -> None:

    low, high = one.interval
    scores = one.scores
    fields = {"name": one.name, "accuracy": scores.accuracy, "low": low, "high": high}
    fields |= {"macro_f1": scores.macro_f1, "nll": scores.nll}
    fields |= {"num_images": scores.num_images, "num_no_answer": scores.num_no_answer}
    print(json.dumps(fields, allow_nan=False))
