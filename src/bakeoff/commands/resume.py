"""`bakeoff resume RUN`: a run that was stopped goes on, with the bits of one that was not. No torch here."""

from pathlib import Path
from typing import Any, NoReturn

from bakeoff.arguments import Parser
from bakeoff.config.canonical import DEVICE, EPOCHS, MAY_CHANGE
from bakeoff.errors import OK, ConfigError, ResumeError, nearest
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import SAVING, SAVING_JOBS, StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.runs.attempts import clear_finished
from bakeoff.runs.folders import is_sweep_dir
from bakeoff.runs.locate import outputs_root
from bakeoff.runs.paths import expanded
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY as SUMMARY_FILE
from bakeoff.runs.rundir import RunDir
from bakeoff.runs.studies import is_sealed
from bakeoff.sweeps.locate import find_run_or_sweep
from bakeoff.text import percent

USAGE = "resume RUN|SWEEP"
SUMMARY = "go on with a run or a sweep that was stopped"


def resume(words: list[str]) -> int:
    """Runs the command.

    Raises:
        ResumeError: it cannot go on.
        BakeoffError: with the exit code of what went wrong.
    """
    options, rest = parser().parse_known_intermixed_args(words)
    if rest:
        _refuse(rest[0])
    if options.run is None:
        raise ConfigError(
            "which run? write bakeoff resume latest, bakeoff resume RUN or bakeoff resume SWEEP"
        )
    allowed = dict(_allowed(word) for word in options.allow)
    stop = StopSignal()
    stop.first_words = SAVING
    with stop.caught():
        path = find_run_or_sweep(options.run, outputs_root(), unfinished=True)
        if is_sweep_dir(path):
            from bakeoff.sweeps.resume import resume_sweep

            if allowed:
                raise ConfigError(f"--allow: one run at a time; give a run of {path}")
            stop.first_words = SAVING_JOBS
            return resume_sweep(path, stop, options.data_root, retries=options.retry_diverged)
        if options.retry_diverged:
            raise ConfigError("--retry-diverged: of sweeps only; a run that diverged would do so again")
        if RunDir(path).has_summary():
            if allowed:
                raise ResumeError(
                    f"{path}: it has finished, and its checkpoints are gone; train a new run with the new "
                    f"value and bakeoff train --config {path}"
                )
            clear_finished(path)
            _print_result(path)
            return OK
        with loading_torch():
            from bakeoff.experiment.resume import resume as go_on
        changes = {key: value for key, value in allowed.items() if value is not None}
        go_on(path, stop, options.data_root, changes, allowed)
    return OK


def _allowed(word: str) -> tuple[str, Any]:
    """`trainer.epochs=20` as a key and a plain value; None for the device that there is.

    Raises:
        ConfigError: not of this form.
        ResumeError: a key that must stay as it is.
    """
    key, _, value = word.partition("=")
    if key not in MAY_CHANGE:
        _refuse(word)
    if key == EPOCHS and not value:
        raise ConfigError(f"--allow {key}: how many? write --allow {key}=NUMBER")
    return key, int(value) if value.isdecimal() else value or None


def _refuse(word: str) -> NoReturn:
    """A word that is neither the run nor an option, or a key that cannot change.

    Raises:
        ConfigError: it is not understood.
        ResumeError: a key that must stay as it is.
    """
    key, equals, _ = word.lstrip("-").partition("=")
    if key.startswith("sweep."):
        raise ConfigError(
            f"{word}: resume keeps a sweep's options; give the sweep's command with sweep.name=SWEEP and the "
            "new option; bakeoff show SWEEP prints the command"
        )
    if key in MAY_CHANGE and equals:
        raise ConfigError(f"{word}: write --allow {key}=VALUE; the run then goes on in a new run directory")
    if nearest(key, MAY_CHANGE) or key in {name.partition(".")[2] for name in MAY_CHANGE}:
        raise ConfigError(f"{word}: write --allow {EPOCHS}=NUMBER or --allow {DEVICE}[=DEVICE]")
    if equals or "." in key:
        raise ResumeError(
            f"{word}: only {' and '.join(MAY_CHANGE)} may change in a run that goes on; train a new run: "
            f"bakeoff train --config RUN_DIRECTORY {word.lstrip('-') if equals else f'{key}=VALUE'}"
        )
    raise ConfigError(f"{word}: one run at a time, and no such option; see bakeoff resume --help")


def _print_result(path: Path) -> None:
    split, name = ("val", "validation") if is_sealed(path) else ("test", "test")
    try:
        scores = read_json(path / SUMMARY_FILE)[split]
        result = f": {name} accuracy {percent(scores['accuracy'])}, {name} loss (NLL) {scores['nll']:.4f}"
    except (UnreadableFileError, LookupError, TypeError, ValueError):
        result = ""
    tell(f"{path.name} has finished{result}")
    print(f"run directory  {path}")
    print(f"next           bakeoff compare {path.parent}")


def parser() -> Parser:
    """What completion and the command read its options from."""
    parser = Parser(
        "bakeoff resume",
        description="Goes on with a run that was stopped or killed, from its newest checkpoint, or with what "
        "is left of a sweep. With "
        "trainer.deterministic=true it ends with exactly the result of a run that was not stopped.",
        epilog="exit codes: 0 the run, or each run of the sweep, has finished; 2 usage; 3 data; 4 storage\n"
        "            or memory; 5 diverged; 6 it cannot go on: what it began with has changed, it\n"
        "            diverged, a process works on it, or no checkpoint is whole; 7 some runs of the\n"
        "            sweep failed; 75 stopped again",
    )
    parser.add_argument(
        "run",
        metavar="RUN|SWEEP",
        nargs="?",
        help="a path, the beginning of a run's or a sweep's name, or latest: the run that was stopped last",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="KEY[=VALUE]",
        help="trainer.epochs=NUMBER (more of them) or trainer.device[=DEVICE] may differ from what the run "
        "began with: it goes on in a new run directory",
    )
    parser.add_argument(
        "--retry-diverged",
        action="store_true",
        help="of a sweep: train runs whose numbers became infinite again, from their beginning",
    )
    parser.add_argument(
        "--data-root", type=expanded, metavar="DIR", help="the folder of the data on this machine"
    )
    parser.suggestions = {"allow": [f"{EPOCHS}=", DEVICE]}
    return parser
