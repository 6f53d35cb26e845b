"""`bakeoff resume RUN`: a run that was stopped goes on, with the bits of one that was not."""

from bakeoff.arguments import Parser
from bakeoff.errors import OK
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.rundir import RunDir

USAGE = "resume RUN"
SUMMARY = "go on with a run that was stopped"


def resume(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ResumeError: it cannot go on.
        BakeoffError: with the exit code of what went wrong.
    """
    options = parser().parse_args(words)
    stop = StopSignal()
    with stop.caught():
        path = find_run(options.run, outputs_root())
        if RunDir(path).has_summary():
            print(f"{path}: it has finished; see bakeoff compare {path}")
            return OK
        with doing("loading torch"):
            from bakeoff.experiment.resume import resume as go_on
        go_on(path, stop)
    return OK


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff resume",
        description="Goes on with a run that was stopped or killed, from its newest checkpoint.",
        epilog="exit codes: as bakeoff train; 6 it cannot go on: what it began with has changed, a process\n"
        "            works on it, or no checkpoint is whole",
    )
    parser.add_argument("run", metavar="RUN", help="a path, the beginning of a run's name, or latest")
    return parser
