"""Training from Python: the same config, gates, run directory and result as by the command.

No torch at import.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.config.compose import expand
from bakeoff.config.config_file import naming_file
from bakeoff.config.job import Job
from bakeoff.config.slips import ADD_MULTIRUN
from bakeoff.deploy.python.borrowed import borrowed_process, short_errors, torch_settings_kept
from bakeoff.deploy.python.compared import Comparison, compared_runs
from bakeoff.deploy.python.run import FinishedRun
from bakeoff.deploy.python.words import SWEEP, command_line
from bakeoff.errors import OK, SOME_RUNS_BAD, ConfigError
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.process import loading_torch
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import tell
from bakeoff.sweeps.naming import own_words, sweep_namer
from bakeoff.sweeps.run import run_sweep
from bakeoff.sweeps.slots import Size


@short_errors
def train(
    overrides: Sequence[object],
    keys: Mapping[str, Any],
    config: "str | Path | None",
    config_dir: "str | Path | None",
    *,
    quiet: bool,
) -> FinishedRun:
    """See `bakeoff.train`."""
    stop = StopSignal()
    with borrowed_process(quiet=quiet), stop.caught():
        line = command_line(overrides, keys, config, config_dir, sweeps=False)
        try:
            jobs, is_sweep = expand(line)
        except ConfigError as error:
            raise ConfigError(str(error).replace(ADD_MULTIRUN, SWEEP)) from error
        if is_sweep:
            raise ConfigError(f"this experiment is one of several runs; {SWEEP}")
        with naming_file(line.file, line.file_keys), torch_settings_kept():
            check_shared(jobs[0].values)
            with loading_torch():
                from bakeoff.experiment.train import train as train_run

            return FinishedRun(train_run(jobs[0], stop))


@short_errors
def sweep(
    overrides: Sequence[object],
    keys: Mapping[str, Any],
    config: "str | Path | None",
    config_dir: "str | Path | None",
    *,
    quiet: bool,
) -> Comparison:
    """See `bakeoff.sweep`."""
    stop, ended = StopSignal(), _Ended()
    with borrowed_process(quiet=quiet), stop.caught():
        line = command_line(overrides, keys, config, config_dir, sweeps=True)
        jobs, _ = expand(line, named=sweep_namer(line, tell))
        with naming_file(line.file, line.file_keys):
            run_sweep(jobs, own_words(line), dry_run=False, stop=stop, check=_checked_here, conclude=ended)
    assert ended.folder is not None
    return compared_runs([ended.folder])


class _Ended:
    """Keeps where a sweep was done, in place of printing its table."""

    folder: Path | None = None

    def __call__(
        self, folder: Path, failed: Sequence[str] = (), left: int = 0, *, reports: bool = False
    ) -> int:
        del left, reports
        self.folder = folder
        return SOME_RUNS_BAD if failed else OK


def _checked_here(jobs: Sequence[Job], stop: StopSignal) -> tuple[int, list[Size]]:
    """The gates in this process, which has torch anyway: what they refuse is an error that can be caught.

    Raises:
        BakeoffError: of the first job that does not pass.
    """
    with torch_settings_kept():
        from bakeoff.sweeps.torch_gates import Gates

        return OK, [Size(**fields) for fields in Gates().sizes([job.values for job in jobs], stop)]
