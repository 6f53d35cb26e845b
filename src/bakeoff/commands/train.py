"""`bakeoff train`: one run in this process, so that debuggers and Ctrl-C work; a sweep as jobs."""

from bakeoff.config.compose import Job, expand, parse_arguments, show
from bakeoff.errors import OK
from bakeoff.experiment.first_gate import check_shared


def train(words: list[str]) -> int:
    """Runs the command: Hydra's options and overrides, and `--dry-run`.

    Raises:
        BakeoffError: with the exit code of what went wrong.
    """
    dry_run = "--dry-run" in words
    words = [word for word in words if word != "--dry-run"]
    line = parse_arguments(words)
    if line.shows:
        show(words)
        return OK
    jobs, is_sweep = expand(line)
    if is_sweep:
        from bakeoff.sweeps.serial import run_sweep

        return run_sweep(jobs, dry_run)
    check_shared(jobs[0].values)  # gate 1, before torch
    return run_single(jobs[0], dry_run)


def run_single(job: Job, dry_run: bool) -> int:
    """Trains, or with `dry_run` only passes all gates, data included, and says so."""
    # torch loads here, not when a command line is read.
    from bakeoff.experiment.gates import description, prepare
    from bakeoff.experiment.train import train as train_run
    from bakeoff.machine.signals import StopSignal

    stop = StopSignal()
    with stop.caught():
        if dry_run:
            prepared = prepare(job.values)
            for note in (*prepared.data.notes, *prepared.model.notes):
                print(f"note: {note}")
            print(f"{description(prepared)}\nnothing is wrong with it; not trained (--dry-run)")
        else:
            train_run(job, stop)
    return OK
