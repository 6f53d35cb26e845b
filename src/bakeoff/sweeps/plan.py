"""What of a sweep is done, and what is to do: by the directories and by what identifies a run.

No torch here.
"""

import glob
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.comparison.read import Run, read_run
from bakeoff.config.job import Job
from bakeoff.config.titles import title_of
from bakeoff.data.fingerprint import data_fingerprint
from bakeoff.errors import ConfigError
from bakeoff.experiment.code import changed_files
from bakeoff.experiment.first_gate import check_shared
from bakeoff.experiment.identity import identity, setting
from bakeoff.machine.signals import StopSignal
from bakeoff.machine.waiting import doing
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import sweep_run_folder
from bakeoff.runs.states import DIVERGED, FINISHED, LEFT_ALONE, QUEUED, RunState, state_of
from bakeoff.sweeps.ledger import Entry
from bakeoff.text import counted, shortened


@dataclass(frozen=True)
class Planned:
    """One combination, and the directory that is its run."""

    job: Job
    entry: Entry
    folder: Path
    state: RunState

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do for it, unless it is asked to be done again."""
        return self.state.state in LEFT_ALONE

    def waiting(self) -> "Planned":
        """The same, to be done from its beginning."""
        return replace(self, state=RunState(QUEUED))


def plan(
    jobs: Sequence[Job], stop: StopSignal, folders: Sequence[Path | None] | None = None
) -> list[Planned]:
    """Looks for each job's run.

    Args:
        jobs: the combinations.
        stop: the signals that came.
        folders: where the run of each job is known to be; without it, where the config says.

    Raises:
        ConfigError: gate 1, a folder of a run's name that holds another one, or the same run twice.
    """
    planned: dict[str, Planned] = {}
    words = [_words(job) for job in jobs]
    # What all runs have alike names none of them.
    common = set.intersection(*map(set, words)) if len(jobs) > 1 else set()
    known = folders if folders is not None else [None] * len(jobs)
    for number, (job, own, folder) in enumerate(zip(jobs, words, known, strict=True), start=1):
        stop.check()
        with doing(f"looking for run {number} of {len(jobs)}"):
            item = planned_of(job, " ".join(word for word in own if word not in common), folder)
        # Not by the folder: two titles of the same data have two, until one is found for both.
        key = item.entry.identity if folder is None else str(folder)
        if key in planned:
            raise ConfigError(f"{' '.join(own)}: the sweep holds this run twice")
        planned[key] = item
    return list(planned.values())


def to_be_tried(planned: Sequence[Planned], retries: bool) -> list[Planned]:
    """The same, with diverged runs as waiting ones if they are to be trained again."""
    return [item.waiting() if retries and item.state.state == DIVERGED else item for item in planned]


def looked_at_again(planned: Sequence[Planned]) -> list[Planned]:
    """The states of now: before a sweep was this process's, another one may have done something of it."""
    return [
        item if item.is_done else replace(item, state=_state(item.folder, item.entry.identity))
        for item in planned
    ]


def planned_of(job: Job, shown: str, folder: Path | None = None) -> Planned:
    """Looks for the run of one job.

    Args:
        job: a combination.
        shown: what is said of it alone.
        folder: where its run is known to be; None: where the config says.

    Raises:
        ConfigError: gate 1, or a folder of the run's name that holds another one.
    """
    config = check_shared(job.values)
    source = data_fingerprint(config.data.name, config.data.root)
    key, row = identity(job.values, source), setting(job.values, source)
    assert config.sweep.name is not None
    model, title = str(config.model["name"]), title_of(config.data)
    if folder is None:
        folder = sweep_run_folder(config.output_dir, config.sweep.name, model, title, config.seed, key)
        # The same run under another title of the data.
        folder = next(folder.parent.glob(f"{glob.escape(model)}-*-s{config.seed}-{key[:8]}"), folder)
    entry = Entry(folder.name, key, row, shown, model, title, config.seed)
    return Planned(job, entry, folder, _state(folder, key))


def _words(job: Job) -> list[str]:
    """What the command line says of the job; the sweep's own keys stand above them."""
    texts = [text for text in job.overrides if not text.lstrip("+").startswith(("sweep.", "hydra."))]
    own = [text for text in texts if text.partition("=")[0] not in job.file_keys]
    return [*([f"--config {shlex.quote(job.file)}"] if job.file else []), *own]


def _state(folder: Path, key: str) -> RunState:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"{folder}: a link or a file has the name of a run directory; remove it")
    if not folder.exists():
        return RunState(QUEUED)
    try:
        state = state_of(folder)
    except UnreadableFileError:
        return RunState(QUEUED)  # it was killed before its first file was written
    if state.state != FINISHED:
        return state
    found = read_run(folder)
    if isinstance(found, Run) and found.summary.get("identity") == key:
        return state
    reason = "of another identity" if isinstance(found, Run) else found.reason
    raise ConfigError(
        f"{folder}: there already, but not this run ({reason}); remove it, or choose another sweep.name"
    )


def _of_other_code(planned: Sequence[Planned]) -> dict[Path, tuple[Run, list[str]]]:
    """Finished runs of the same config and data, but of other code.

    Returns:
        For the folder of a run that is not done: the finished one of other code, and the files that differ.
    """
    found = {}
    for item in planned:
        if item.is_done:
            continue
        pattern = f"{glob.escape(item.entry.model)}-*-s{item.entry.seed}-*"
        for other in sorted(item.folder.parent.glob(pattern)):
            run = read_run(other, predictions=False) if other != item.folder else None
            if isinstance(run, Run) and run.summary.get("setting") == item.entry.setting:
                before = run.environment.get("code")
                differ = changed_files(before if isinstance(before, dict) else {}, item.job.values)
                found[item.folder] = (run, differ)
    return found


def settle_stale(planned: Sequence[Planned], choice: str, tell: Callable[[str], None]) -> list[Planned]:
    """Finished runs of other code: refused, or they count, or the runs are trained anew beside them.

    Args:
        planned: the runs of the command line.
        choice: `sweep.stale`.
        tell: for what a person should know.

    Returns:
        The runs of the sweep.

    Raises:
        ConfigError: there are some, and nothing is chosen.
    """
    stale = _of_other_code(planned)
    if not stale:
        return list(planned)
    files = sorted({name for _, differ in stale.values() for name in differ})
    changed = shortened(files, 3) or "nothing that is recorded"
    runs = [run.path.name for run, _ in stale.values()]
    told = f"{counted(len(stale), 'finished run')} of other code ({shortened(runs, 3)}; changed: {changed})"
    if choice == "refuse":
        raise ConfigError(
            f"{next(iter(stale)).parent}: {told}; with sweep.stale=keep they count as done, with "
            "sweep.stale=rerun they are trained again beside the old ones; sweep.name=new is another sweep"
        )
    if choice == "rerun":
        tell(f"note: trained again: {told}")
        return list(planned)
    tell(f"note: kept: {told}")
    return [_kept(item, stale[item.folder][0]) if item.folder in stale else item for item in planned]


def _kept(item: Planned, run: Run) -> Planned:
    entry = replace(item.entry, folder=run.path.name, identity=str(run.summary["identity"]))
    return Planned(item.job, entry, run.path, RunState(FINISHED))
