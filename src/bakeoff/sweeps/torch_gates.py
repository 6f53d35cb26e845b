"""A sweep's child that passes all jobs through the gates that need torch and the data.

Reads a JSON list of configs from standard input; exits like any command.
"""

import json
import sys

from bakeoff.config.canonical import canonical_json
from bakeoff.errors import OK
from bakeoff.machine.process import loading_torch, run_process
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.streams import run_command
from bakeoff.machine.waiting import doing


def _check() -> int:
    stop = StopSignal()
    with stop.caught():
        jobs = json.load(sys.stdin)

        with loading_torch():
            from bakeoff import data
            from bakeoff.data.splits import DataSet
            from bakeoff.experiment.first_gate import check_shared
            from bakeoff.experiment.gates import prepare

        loaded: dict[str, DataSet] = {}  # most sweeps vary anything but the data
        for number, values in enumerate(jobs, start=1):
            stop.check()
            with doing(f"checking run {number} of {len(jobs)}"):
                key = canonical_json(values["data"])
                if key not in loaded:
                    loaded[key] = data.load(check_shared(values).data)
                prepare(values, loaded[key])
    return OK


if __name__ == "__main__":
    # Its parent says what of the output is lost.
    run_process(lambda: run_command(_check, debug=False, only_shows=True))
