"""What must stand in the environment before torch and Hydra load. Imports nothing of either."""

import os

_FOLDERS = ("BAKEOFF_DATA", "BAKEOFF_OUTPUTS")
# Waiting rounds of an OpenMP thread before it sleeps. GNU's default spins so long that a second
# process on the same cores makes a step 20 times slower; threads put to sleep at once (the policy
# PASSIVE) wake too late, and a step takes nearly twice as long. A short spin has neither fault:
# scripts/bench_step.py measures all three, docs/benchmarks.md has the figures.
_SPIN_COUNT = "10000"


def prepare() -> None:
    """Sets defaults; what the user has set is left alone. An empty variable for a folder is as none."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    for variable in _FOLDERS:  # `${oc.env:...}` would take an empty one for a folder
        if os.environ.get(variable) == "":
            del os.environ[variable]
    # Hydra re-raises instead of printing and exiting 1, so that errors get our line and exit code.
    os.environ["HYDRA_FULL_ERROR"] = "1"
