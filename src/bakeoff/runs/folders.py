"""Folders of runs and of sweeps: what is one, and which sweeps there are. No torch here."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.runs.rundir import CONFIG, ENVIRONMENT, MARKS, RUN_FILES, STATUS, SUMMARY

LEDGER = "sweep.json"
SWEEPS = "sweeps"  # the folder of an outputs root that holds them


def is_run_dir(path: Path) -> bool:
    """Whether a folder is, or was meant to be, a run directory."""
    marks = [path / name for name in MARKS]
    return any(os.path.lexists(mark) and (mark.is_symlink() or not mark.is_dir()) for mark in marks)


def refuse_run_files(output: Path) -> None:
    """What a run consists of is not written over by what a person asks for.

    Raises:
        ConfigError: names the run.
    """
    place = output.resolve()
    # By their names too: many a folder has a config.json of its own.
    if place.name in RUN_FILES and is_run_dir(place.parent):
        raise ConfigError(f"-o {output}: a file of the run {place.parent.name}; give another name")


def is_sweep_dir(path: Path) -> bool:
    """Whether a folder is a sweep's: it has a ledger or, as one of an older version, runs and the place."""
    if (path / LEDGER).is_file():
        return not is_run_dir(path)
    return path.absolute().parent.name == SWEEPS and not is_run_dir(path) and _holds_runs(path)


def sweep_dirs(root: Path) -> list[Path]:
    """The sweeps below an outputs root, the one that was worked on last at the front. No link is followed."""
    found = [
        Path(entry.path)
        for entry in _folders(root / SWEEPS)
        if not entry.name.startswith(".") and is_sweep_dir(Path(entry.path))
    ]
    return sorted(found, key=lambda folder: (last_work(folder), folder.name), reverse=True)


def beginning(name: str, paths: Iterable[Path]) -> list[Path]:
    """The paths that a name means: those that are called so, else those whose names begin so."""
    matches = [path for path in paths if path.name.startswith(name)]
    return [path for path in matches if path.name == name] or matches


def began_at(run: Path) -> float:
    """When a run began, in seconds since 1970, by one file's time; of a queued one, when it was made."""
    for name in (ENVIRONMENT, CONFIG, STATUS, SUMMARY):  # the first is written at the start, and only then
        with suppress(OSError):
            return (run / name).stat(follow_symlinks=False).st_mtime
    return 0.0


def last_work(sweep: Path) -> float:
    """When somebody last worked on a sweep, in seconds since 1970: its ledger is written all the time."""
    for path in (sweep / LEDGER, sweep):
        with suppress(OSError):
            return path.stat(follow_symlinks=False).st_mtime
    return 0.0


def _holds_runs(path: Path) -> bool:
    return any(is_run_dir(Path(entry.path)) for entry in _folders(path) if not entry.name.startswith("."))


def _folders(path: Path) -> Iterable[os.DirEntry[str]]:
    with suppress(OSError):
        return [entry for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    return []
