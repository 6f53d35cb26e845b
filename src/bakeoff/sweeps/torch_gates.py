"""A sweep's child that passes all jobs through the gates that need torch and the data.

Reads a JSON list of configs from standard input; exits like any command.
"""

import json
import sys

from bakeoff.config.canonical import canonical_json
from bakeoff.errors import OK
from bakeoff.exits import run_reporting_errors


def _check() -> int:
    from bakeoff import data
    from bakeoff.data.splits import DataSet
    from bakeoff.experiment.first_gate import check_shared
    from bakeoff.experiment.gates import prepare

    loaded: dict[str, DataSet] = {}  # most sweeps vary anything but the data
    for values in json.load(sys.stdin):
        key = canonical_json(values["data"])
        if key not in loaded:
            loaded[key] = data.load(check_shared(values).data)
        prepare(values, loaded[key])
    return OK


if __name__ == "__main__":
    sys.exit(run_reporting_errors(_check, debug=False))
