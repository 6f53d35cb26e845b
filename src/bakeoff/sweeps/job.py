"""A sweep's child that trains one job, of the values that the sweep has checked.

Reads one JSON object from standard input: `values` and `overrides`, so that a config file that is changed
while the sweep runs cannot change what is trained, and `said`, the notes of earlier jobs. Exits like any
command.
"""

import json
import sys

from bakeoff.errors import OK
from bakeoff.machine.process import loading_torch, run_process
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.streams import run_command


def _train() -> int:
    stop = StopSignal()
    with stop.caught():
        content = json.load(sys.stdin)

        from bakeoff.config.job import Job

        job = Job(content["values"], content["overrides"])
        # Recorded in environment.json: the command line that trains the same alone.
        sys.argv = ["bakeoff", "train", *job.overrides]

        with loading_torch():
            from bakeoff.experiment.train import train

        stop.check()
        train(job, stop, content["said"])
    return OK


if __name__ == "__main__":
    # Its parent says what of the output is lost.
    run_process(lambda: run_command(_train, debug=False, only_shows=True))
