"""The commands that make sense for a run or a sweep, by how far it is. No torch here."""

import os
import shlex

from bakeoff.runs.folders import is_sweep_dir
from bakeoff.runs.rundir import CONFIG, WEIGHTS
from bakeoff.runs.states import DIVERGED, FAILED, FINISHED, PRUNED, QUEUED, RUNNING, STOPPED
from bakeoff.runs.studies import is_open
from bakeoff.sweeps.ledger import Ledger
from bakeoff.sweeps.rows import RunRow, SweepRow, ledger_of

Steps = dict[str, str]  # what for -> the command
EVALUATE = "evaluate"
_TO_DO = (QUEUED, *STOPPED)


def of_run(row: RunRow) -> Steps:
    """What can be done with a run."""
    path, state = shlex.quote(str(row.path)), row.state
    sweep = row.path.parent if is_sweep_dir(row.path.parent) else None
    ledger = ledger_of(sweep) if sweep else None
    if state.state == FINISHED:
        use = {}
        if os.path.lexists(row.path / WEIGHTS):
            use = {EVALUATE: f"bakeoff evaluate {path}", "use": f"bakeoff predict {path} PICTURE"}
        return use | {"compare": f"bakeoff compare {shlex.quote(str(sweep or row.path.parent))}"}
    if state.state == RUNNING:
        return {"watch": f"bakeoff watch {path}"}
    if ledger and ledger.is_worked_on:
        return {"watch its sweep": f"bakeoff watch {shlex.quote(str(sweep))}"}
    steps = {}
    has_config = os.path.lexists(row.path / CONFIG)
    may_go_on = state.may_go_on and has_config
    if may_go_on:
        steps["start" if state.state == QUEUED else "resume"] = f"bakeoff resume {path}"
    if ledger and state.state in _TO_DO:
        steps["resume its sweep"] = f"bakeoff resume {shlex.quote(str(sweep))}"
    # Whoever failed may need another value, such as a smaller batch.
    if has_config and (state.state == FAILED or not may_go_on):
        change = "" if state.state == PRUNED else " KEY=VALUE"
        steps["train anew"] = f"bakeoff train --config {path}{change}"
    return steps


def of_sweep(row: SweepRow, ledger: Ledger | None) -> Steps:
    """What can be done with a sweep."""
    path = shlex.quote(str(row.path))
    steps = {}
    if ledger and ledger.is_worked_on:
        steps = {"watch": f"bakeoff watch {path}", "stop": f"bakeoff cancel {path}"}
    elif ledger and (is_open(row.path) or any(row.counts.get(state) for state in _TO_DO)):
        steps["resume"] = f"bakeoff resume {path}"
    if ledger and not ledger.is_worked_on and row.counts.get(DIVERGED):
        steps["train diverged runs anew"] = f"bakeoff resume {path} --retry-diverged"
    if row.counts.get(FINISHED):
        steps["compare"] = f"bakeoff compare {path}"
        steps["show in figures"] = f"bakeoff report {path}"
    return steps
