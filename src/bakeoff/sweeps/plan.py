"""What of a sweep is done, and what is to do: by the directories and by what identifies a run. No torch here."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakeoff.comparison.read import Run, read_run
from bakeoff.config.job import Job
from bakeoff.config.titles import title_of
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.errors import ConfigError
from bakeoff.experiment.code import code_files
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import identity, setting
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import sweep_run_folder
from bakeoff.runs.states import DIVERGED, FINISHED, PRUNED, QUEUED, RunState, state_of


@dataclass(frozen=True)
class Planned:
    """One combination, and the directory that is its run."""

    job: Job
    identity: str
    setting: str
    folder: Path
    state: RunState

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do for it."""
        return self.state.state in (FINISHED, PRUNED, DIVERGED)


def plan(job: Job) -> Planned:
    """Looks for a job's run.

    Raises:
        ConfigError: gate 1, or a folder of its name that holds another run.
    """
    config = check_shared(job.values)
    source = data_fingerprint(config.data.name, config.data.root)
    key, row = identity(job.values, source), setting(job.values, source)
    assert config.sweep.name is not None
    model, title = str(config.model["name"]), title_of(config.data)
    folder = sweep_run_folder(config.output_dir, config.sweep.name, model, title, config.seed, key)
    # The same run under another title of the data.
    folder = next(folder.parent.glob(f"{glob.escape(model)}-*-s{config.seed}-{key[:8]}"), folder)
    return Planned(job, key, row, folder, _state(folder, key))


def _state(folder: Path, key: str) -> RunState:
    if not folder.exists():
        return RunState(QUEUED)
    try:
        state = state_of(folder)
    except UnreadableFileError:
        return RunState(QUEUED)  # it died before its first file
    if state.state != FINISHED:
        return state
    found = read_run(folder)
    if isinstance(found, Run) and found.summary.get("identity") == key:
        return state
    reason = "of another identity" if isinstance(found, Run) else found.reason
    raise ConfigError(
        f"{folder}: there already, but not this run ({reason}); remove it, or choose another sweep.name"
    )


def stale(planned: Sequence[Planned]) -> dict[Path, list[str]]:
    """Finished runs of the same config and data, but of other code: each with the files that differ."""
    found: dict[Path, list[str]] = {}
    for item in planned:
        if item.is_done:
            continue
        name, _, _ = item.folder.name.rpartition("-")
        for other in sorted(item.folder.parent.glob(f"{glob.escape(name)}-*")):
            run = read_run(other) if other != item.folder else None
            if isinstance(run, Run) and run.summary.get("setting") == item.setting:
                before, now = run.environment.get("code"), code_files(item.job.values)
                before = before if isinstance(before, dict) else {}
                found[other] = sorted(key for key in {**before, **now} if before.get(key) != now.get(key))
    return found
