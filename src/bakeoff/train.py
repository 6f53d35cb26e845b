"""`bakeoff train` for one run, in this process, so that debuggers and Ctrl-C work as expected."""

from bakeoff import experiment
from bakeoff.compose import Job
from bakeoff.errors import OK
from bakeoff.gates import description, prepare
from bakeoff.signals import StopSignal


def run_single(job: Job, dry_run: bool) -> int:
    """Trains, or with `dry_run` only passes all gates, data included, and says so."""
    stop = StopSignal()
    with stop.caught():
        if dry_run:
            prepared = prepare(job.values)
            for note in (*prepared.data.notes, *prepared.model.notes):
                print(f"note: {note}")
            print(f"{description(prepared)}\nnothing is wrong with it; not trained (--dry-run)")
        else:
            experiment.train(job, stop)
    return OK
