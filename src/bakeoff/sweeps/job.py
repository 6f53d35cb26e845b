"""A sweep's child: trains the run of one directory, or goes on with it, from the config that lies there.

    python -m bakeoff.sweeps.job RUN_DIR --identity HEX --parent PID --threads N --jobs-at-once N
        --data-root DIR

Exits like any command. What it says goes to the run's log; its result is the directory.
"""

import argparse
import faulthandler
import sys
from pathlib import Path
from typing import NoReturn

from bakeoff.errors import OK, ResumeError
from bakeoff.machine.process import loading_torch, run_process
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.streams import run_command
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.stored_overrides import stored_overrides
from bakeoff.sweeps.child import end_with


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("run", type=Path)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--jobs-at-once", type=int, required=True)
    parser.add_argument("--data-root", required=True)
    return parser


def _work(options: argparse.Namespace) -> int:
    stop = StopSignal()
    stop.told = "stopped with its sweep"  # a person pressed Ctrl-C there, and knows no SIGTERM
    with stop.caught():
        # Recorded in environment.json: the command line that trains the same alone.
        sys.argv = ["bakeoff", "train", *stored_overrides(options.run)]
        with loading_torch():
            from bakeoff.experiment.resume import InSweep, resume

        stop.check()
        in_sweep = InSweep(options.identity, options.threads, options.jobs_at_once)
        try:
            resume(options.run, stop, options.data_root, in_sweep=in_sweep)
        except ResumeError:
            if not RunDir(options.run).has_summary():
                raise  # else somebody has finished it while it waited
    return OK


def main() -> NoReturn:
    """The program."""
    options = _parser().parse_args()
    end_with(options.parent)
    faulthandler.enable()
    # Its output is nobody's: it is in the run's log, and the directory says what it is.
    run_process(lambda: run_command(lambda: _work(options), debug=False, only_shows=True))


if __name__ == "__main__":
    main()
