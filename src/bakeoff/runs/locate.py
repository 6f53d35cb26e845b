"""Finds run directories: below a folder, or by the name that a command line gives. No torch here."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bakeoff.errors import ConfigError, nearest
from bakeoff.runs.folders import began_at, beginning, is_run_dir, is_sweep_dir, sweep_dirs
from bakeoff.runs.paths import OUTPUTS_VARIABLE, from_environment, home_path
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import DATASETS, MARKS, RUN_NAME, STATUS, SUMMARY
from bakeoff.runs.states import LOST, STOPPED, state_of
from bakeoff.terminal import broken, screen_width
from bakeoff.text import counted, one_line, printable

SEARCH_DEPTH = 6
_SECONDS_TO_START = 60.0  # within which a new folder gets its first file


def find_run_dirs(root: Path) -> list[Path]:
    """All run directories at or below a root, sorted by path.

    Searched to depth 6; `datasets/`, hidden folders, links, and what lies below a run directory are
    passed over.
    """
    found: list[Path] = []
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                continue  # removed meanwhile, or the root is not there
            except OSError:
                found.append(folder)  # its reader says why it cannot be read
                continue
            marked = any(entry.name in MARKS and not entry.is_dir(follow_symlinks=False) for entry in entries)
            if marked or (holds_nothing(entry.name for entry in entries) and _died_at_once(folder)):
                found.append(folder)
                continue
            below += [
                folder / entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                and not entry.name.startswith(".")
                and entry.name != DATASETS
            ]
        level = below
    return sorted(found)


def holds_nothing(names: Iterable[str]) -> bool:
    """Whether a folder has nothing but files that were being written."""
    return all(name.startswith(".") for name in names)


def _died_at_once(folder: Path) -> bool:
    """Whether an empty folder was made for a run that ended before it could write its status."""
    with suppress(OSError):  # removed meanwhile
        seconds = time.time() - folder.stat().st_mtime
        return seconds > _SECONDS_TO_START and RUN_NAME.fullmatch(folder.name) is not None
    return False


def distinct_run_dirs(paths: Iterable[Path]) -> list[Path]:
    """All run directories at or below some paths; by their real places, so that each comes once."""
    return list({run.resolve(): run for path in paths for run in find_run_dirs(path)}.values())


def _warn(text: str) -> None:
    print(broken(text, screen_width(sys.stderr)), file=sys.stderr)


def find_run(name: str, root: Path, note: Callable[[str], None] = _warn, unfinished: bool = False) -> Path:
    """Finds the run that a command line names: a path, `latest`, or a unique prefix of a run id.

    `latest` is the last run that has finished; `note` is told of a later one that has not. With
    `unfinished` it is the one that was stopped last: not finished, not diverged, and nobody works on it.

    Raises:
        ConfigError: no such run, or several.
    """
    path = home_path(name)
    for found in (path, root / path):  # as compare shows it, below the root
        if found.is_dir() and is_run_dir(found):
            return found
    name = name.rstrip("/") or name  # a shell completes the name of a folder so
    if is_sweep_dir(path) or is_sweep_dir(root / path):
        raise ConfigError(f"run {name}: that is a sweep; give one of its runs (bakeoff list {name})")
    if "/" in name:  # no name of a run
        problem = "no such path" if not os.path.lexists(path) else "no run directory"
        raise ConfigError(f"run {name}: {problem}; give a run directory, or the beginning of a run's name")
    runs = find_run_dirs(root)
    if not runs:
        raise ConfigError(f"run {name}: {root} holds no run directory; give a path or set BAKEOFF_OUTPUTS")
    if name == "latest":
        return _last_stopped(runs, root, note) if unfinished else _last_finished(runs, root, note)
    matches = beginning(name, runs)
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(str(run) for run in matches[:3])
        more = ", ..." if len(matches) > 3 else ""
        told = f"{len(matches)} runs have names that begin with it ({shown}{more})"
        raise ConfigError(f"run {name}: {told}; give more of the name, or a path")
    if sweeps := [sweep.name for sweep in beginning(name, sweep_dirs(root))]:
        which = f"the sweep {sweeps[0]}" if len(sweeps) == 1 else f"{len(sweeps)} sweeps"
        raise ConfigError(f"run {name}: no run of this name, but {which}; see bakeoff list {name}")
    if path.is_dir():
        raise ConfigError(f"run {name}: that is a folder and no run directory; bakeoff list shows the runs")
    hint = nearest(name, [run.name for run in runs])
    raise ConfigError(f"run {name}: no run of this name below {root}; see bakeoff list{hint}")


def resolve(word: str, root: Path) -> Path:
    """A PATH of the command line: a folder, or a sweep or a run by its name, where `latest` is a run."""
    path = home_path(word)
    if path.is_dir():
        return path
    name = word.rstrip("/") or word
    sweeps = beginning(name, sweep_dirs(root))
    is_exact = [sweep.name for sweep in sweeps] == [name]
    if is_exact or (len(sweeps) == 1 and not beginning(name, find_run_dirs(root))):
        return sweeps[0]
    return find_run(word, root)


def _last_finished(runs: Sequence[Path], root: Path, note: Callable[[str], None]) -> Path:
    finished = [run for run in runs if (run / SUMMARY).is_file()]
    newest = max(runs, key=began_at)
    if not finished:
        raise ConfigError(
            f"run latest: none of the {counted(len(runs), 'run')} below {root} has finished; the newest is "
            f"{newest} ({_state(newest)})"
        )
    last = max(finished, key=began_at)
    if newest != last and began_at(newest) > began_at(last):
        newer = f"the newer {newest} has not finished ({_state(newest)})"
        note(f"note: latest is {last}, the last finished run; {newer}")
    return last


def _last_stopped(runs: Sequence[Path], root: Path, note: Callable[[str], None]) -> Path:
    stopped = [run for run in runs if not (run / SUMMARY).is_file() and _was_stopped(run)]
    if not stopped:
        raise ConfigError(f"run latest: none of the {counted(len(runs), 'run')} below {root} was stopped")
    last = max(stopped, key=_last_seen)
    others = [run for run in runs if not (run / SUMMARY).is_file() and _last_seen(run) > _last_seen(last)]
    if others:
        newer = max(others, key=_last_seen)
        note(
            f"note: latest is {last}, the last stopped run; the newer {newer} cannot go on ({_state(newer)})"
        )
    return last


def _last_seen(run: Path) -> float:
    """When a run last wrote how far it is."""
    try:
        return (run / STATUS).stat(follow_symlinks=False).st_mtime
    except OSError:
        return began_at(run)


def _was_stopped(run: Path) -> bool:
    with suppress(UnreadableFileError):
        return state_of(run).state in STOPPED
    return False


def _state(run: Path) -> str:
    """How far an unfinished run says it is; a process that died may have said `running`."""
    with suppress(UnreadableFileError):
        said = state_of(run).state
        return "its process is gone" if said == LOST else one_line(printable(said))
    return "it has no status"


def outputs_root() -> Path:
    """Where runs are looked for when no path is given."""
    return from_environment(OUTPUTS_VARIABLE, "outputs")
