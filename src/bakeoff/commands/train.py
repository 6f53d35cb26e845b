"""`bakeoff train`: one run in this process, so that debuggers and Ctrl-C work; a sweep as jobs."""

import sys
from collections.abc import Callable

from bakeoff.arguments import Parser, help_width
from bakeoff.commands.hydra_words import hydra_options
from bakeoff.config.compose import CommandLine, expand, parse_arguments, show, with_file
from bakeoff.config.config_file import naming_file
from bakeoff.config.job import Job
from bakeoff.errors import OK
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import SAVING, SAVING_JOBS, StopSignal
from bakeoff.machine.waiting import tell, watched
from bakeoff.runs.paths import expanded

USAGE = "train [KEY=VALUE ...]"
SUMMARY = "train a model; --multirun: a sweep of several"
_MANY_JOBS = 20


def train(words: list[str]) -> int:
    """Runs the command: Hydra's options and overrides, and `--dry-run`.

    Raises:
        BakeoffError: with the exit code of what went wrong.
    """
    stop = StopSignal()
    with stop.caught():  # from the start: libraries that take seconds to load are no place for an error
        options, rest = parser().parse_known_args(words)
        line = parse_arguments(rest)
        if options.config is not None:
            line = with_file(line, options.config)
        if line.helps:
            from bakeoff.commands.train_help import help_text

            print(help_text(line, help_width()))
            return OK
        if line.shows:
            show(line, rest)
            return OK
        jobs, is_sweep = expand(line, _tell, _namer(line))
        stop.check()
        if is_sweep:
            from bakeoff.sweeps.naming import own_words
            from bakeoff.sweeps.run import run_sweep

            stop.first_words = SAVING_JOBS
            with naming_file(line.file, line.file_keys):
                return run_sweep(jobs, own_words(line), options.dry_run, stop)
        with naming_file(line.file, line.file_keys):
            check_shared(jobs[0].values)  # gate 1, before torch
            stop.first_words = SAVING
            if unused := [
                text for text in line.overrides if text.startswith("sweep.") and "name=" not in text
            ]:
                tell(f"note: {unused[0]} is of sweeps only; for several runs add --multirun")
            _run_single(jobs[0], options.dry_run, stop)
    return OK


def _namer(line: CommandLine) -> Callable[[str, str | None], str]:
    def named(output_dir: str, name: str | None) -> str:
        from bakeoff.sweeps.naming import sweep_namer  # a single run needs none of it

        return sweep_namer(line, tell)(output_dir, name)

    return named


def _tell(composed: int, jobs: int) -> None:
    """Where a person looks on: composing takes a tenth of a second for each job."""
    if jobs < _MANY_JOBS or not watched():
        return
    end = "\r\033[K" if composed == jobs else ""
    print(f"\rconfigurations composed: {composed} of {jobs}{end}", end="", file=sys.stderr, flush=True)


def parser() -> Parser:
    """Its own option; what it does not know are Hydra's options, `--help` among them, and overrides."""
    parser = Parser("bakeoff train", add_help=False, allow_abbrev=False)
    parser.add_argument("--dry-run", action="store_true", help="check everything and stop before training")
    parser.add_argument(
        "--config", type=expanded, metavar="FILE", help="settings from a YAML file or a run directory"
    )
    parser.rest = hydra_options("help", "multirun", "cfg", "info", "config_dir")
    return parser


def _run_single(job: Job, dry_run: bool, stop: StopSignal) -> None:
    """Trains, or with `dry_run` only passes all gates, data included, and says so."""
    # torch loads here, not when a command line is read.
    with loading_torch():
        from bakeoff.experiment.gates import description, prepare
        from bakeoff.experiment.train import train as train_run

    stop.check()
    if not dry_run:
        train_run(job, stop)
        return
    from bakeoff.experiment.earlier_runs import Share, told_of_run
    from bakeoff.machine.runtime import num_threads

    prepared = prepare(job.values)
    for note in prepared.notes:
        tell(f"note: {note}")
    tell(description(prepared))
    tell(told_of_run(job.values, Share(num_threads())))
    tell("everything is in order; not trained (--dry-run)")
