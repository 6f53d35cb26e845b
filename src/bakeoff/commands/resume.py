"""`bakeoff resume RUN`: a run that was stopped goes on, with the bits of one that was not. No torch here."""

from pathlib import Path
from typing import Any

from bakeoff.arguments import Parser
from bakeoff.errors import OK, ConfigError, ResumeError
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.runs.attempts import clear_finished
from bakeoff.runs.locate import find_run, outputs_root
from bakeoff.runs.paths import expanded
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY as SUMMARY_FILE
from bakeoff.runs.rundir import RunDir
from bakeoff.text import percent

USAGE = "resume RUN [KEY=VALUE ...]"
SUMMARY = "go on with a run that was stopped"
_MAY_CHANGE = ("trainer.epochs", "trainer.device")


def resume(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ResumeError: it cannot go on.
        BakeoffError: with the exit code of what went wrong.
    """
    options = parser().parse_intermixed_args(words)
    stop = StopSignal()
    with stop.caught():
        path = find_run(options.run, outputs_root(), unfinished=True)
        changes = dict(_change(word) for word in options.changes)
        for key in options.allow:
            if key == "trainer.epochs" and key not in changes:
                raise ConfigError(f"--allow {key}: how many? write {key}=NUMBER too")
        if RunDir(path).has_summary():
            if changes:
                raise ResumeError(
                    f"{path}: it has finished, and its checkpoints are gone; train a new run with "
                    f"{' '.join(options.changes)}"
                )
            clear_finished(path)
            _print_result(path)
            return OK
        with loading_torch():
            from bakeoff.experiment.resume import resume as go_on
        go_on(path, stop, options.data_root, changes, options.allow)
    return OK


def _change(word: str) -> tuple[str, Any]:
    """`trainer.epochs=20` as a key and a plain value.

    Raises:
        ConfigError: not of this form.
        ResumeError: a key that must stay as it is.
    """
    key, equals, value = word.partition("=")
    if not equals or not value:
        raise ConfigError(f"{word}: what may change is given as {_MAY_CHANGE[0]}=NUMBER")
    if key not in _MAY_CHANGE:
        raise ResumeError(
            f"{word}: only {' and '.join(_MAY_CHANGE)} may change in a run that goes on; train a new run"
        )
    return key, int(value) if value.isdecimal() else value


def _print_result(path: Path) -> None:
    try:
        test = read_json(path / SUMMARY_FILE)["test"]
        result = f": test accuracy {percent(test['accuracy'])}, test loss (NLL) {test['nll']:.4f}"
    except (UnreadableFileError, LookupError, TypeError, ValueError):
        result = ""
    tell(f"{path.name} has finished{result}")
    print(f"run directory  {path}")
    print(f"next           bakeoff compare {path.parent}")


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff resume",
        description="Goes on with a run that was stopped or killed, from its newest checkpoint. With "
        "trainer.deterministic=true it ends with the bits of a run that was not stopped.",
        epilog="exit codes: as bakeoff train; 6 it cannot go on: what it began with has changed,\n"
        "            it diverged, a process works on it, or no checkpoint is whole",
    )
    parser.add_argument(
        "run", metavar="RUN", help="a path, the beginning of a run's name, or latest: the last stopped run"
    )
    parser.add_argument(
        "changes",
        metavar="KEY=VALUE",
        nargs="*",
        help="trainer.epochs=NUMBER or trainer.device=DEVICE, with --allow",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=_MAY_CHANGE,
        metavar="KEY",
        help="trainer.epochs (more of them) or trainer.device may differ: it goes on in a new run directory",
    )
    parser.add_argument(
        "--data-root", type=expanded, metavar="DIR", help="the folder of the data on this machine"
    )
    return parser
