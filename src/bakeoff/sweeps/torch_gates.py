"""A sweep's child that passes all jobs through the gates that need torch and the data.

Reads a JSON list of configs from standard input, and writes a JSON list of what it found of the size of each
job's work to the descriptor that its parent gives; exits like any command.
"""

import argparse
import json
import os
import sys

from bakeoff.config.canonical import canonical_json
from bakeoff.errors import OK
from bakeoff.machine.process import loading_torch, run_process
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.streams import run_command
from bakeoff.machine.waiting import doing, tell
from bakeoff.sweeps.child import end_with
from bakeoff.text import without_numbers


def _check(sizes_descriptor: int) -> int:
    stop = StopSignal()
    with stop.caught():
        jobs = json.load(sys.stdin)

        with loading_torch():
            from bakeoff import data
            from bakeoff.data.splits import DataSet
            from bakeoff.experiment.first_gate import check_shared
            from bakeoff.experiment.gates import prepare

        loaded: dict[str, DataSet] = {}  # most sweeps vary anything but the data
        said: set[str] = set()
        sizes = []
        for number, values in enumerate(jobs, start=1):
            stop.check()
            with doing(f"checking run {number} of {len(jobs)}"):
                key = canonical_json(values["data"])
                if key not in loaded:
                    loaded[key] = data.load(check_shared(values).data)
                prepared = prepare(values, loaded[key])
            sizes.append(
                {
                    "parameters": sum(parameter.numel() for parameter in prepared.model.parameters()),
                    "side": max(prepared.data.image_shape[1:]),
                }
            )
            for note in prepared.notes:
                if without_numbers(note) not in said:
                    said.add(without_numbers(note))
                    tell(f"note: {note}")
        with os.fdopen(sizes_descriptor, "w") as file:
            json.dump(sizes, file)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--sizes", type=int, required=True)
    return parser


if __name__ == "__main__":
    options = _parser().parse_args()
    end_with(options.parent)
    # Its parent says what of the output is lost.
    run_process(lambda: run_command(lambda: _check(options.sizes), debug=False, only_shows=True))
