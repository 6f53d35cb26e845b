"""Finds the sweep that a command line names. No torch here."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from bakeoff.errors import ConfigError, nearest
from bakeoff.runs.folders import SWEEPS, beginning, is_run_dir, is_sweep_dir, sweep_dirs
from bakeoff.runs.locate import find_run, find_run_dirs, outputs_root
from bakeoff.runs.paths import home_path
from bakeoff.text import counted, shortened

LATEST = "latest"


def find_sweep(word: str, root: Path) -> Path:
    """Finds a sweep: by a path, a unique prefix of its name, or `latest`, the one worked on last.

    It may be of an older version, without a `sweep.json`.

    Raises:
        ConfigError: no such sweep, or several.
    """
    path = home_path(word)
    for found in (path, root / path):
        if is_sweep_dir(found):
            return _with_name(found)
    name = word.rstrip("/") or word  # a shell completes the name of a folder so
    if is_run_dir(path):
        raise ConfigError(f"sweep {name}: that is a run; see bakeoff show {name}")
    if "/" in name or name in (".", ".."):
        problem = "it holds no sweep.json and no runs" if os.path.lexists(path) else "no such path"
        raise ConfigError(f"sweep {name}: {problem}; give a sweep's folder, or the beginning of its name")
    sweeps = sweep_dirs(root)
    if not sweeps:
        raise ConfigError(f"sweep {name}: there is no sweep below {root}; give a path or set BAKEOFF_OUTPUTS")
    if name == LATEST:
        return sweeps[0]
    matches = beginning(name, sweeps)
    if len(matches) == 1:
        return matches[0]
    if matches:
        told = f"{len(matches)} sweeps have names that begin with it"
        names = shortened([sweep.name for sweep in matches], 3)
        raise ConfigError(f"sweep {name}: {told} ({names}); give more of the name")
    if runs := beginning(name, find_run_dirs(root)):
        whose = f"the run {runs[0]}" if len(runs) == 1 else f"{len(runs)} runs, such as {runs[0]}"
        raise ConfigError(f"sweep {name}: no sweep of this name, but {whose}; see bakeoff show")
    hint = nearest(name, [sweep.name for sweep in sweeps])
    raise ConfigError(f"sweep {name}: no sweep of this name below {root}; see bakeoff list{hint}")


def word_for(sweep: Path) -> str:
    """What finds a sweep again, for a shell: its name where names are looked for, and else its path."""
    is_below = os.path.realpath(sweep.parent) == os.path.realpath(outputs_root() / SWEEPS)
    return shlex.quote(sweep.name if is_below else str(sweep))


def _with_name(folder: Path) -> Path:
    """The same folder by its name, which `.` and `..` have not."""
    return folder.resolve() if folder.name in ("", "..") else folder


def find_run_or_sweep(
    word: str, root: Path, note: Callable[[str], None] | None = None, unfinished: bool = False
) -> Path:
    """Finds what RUN|SWEEP names, where `latest` is a run; `is_sweep_dir` says which of both it is.

    Args:
        word: of the command line.
        root: where runs and sweeps are looked for.
        note: as for `find_run`.
        unfinished: as for `find_run`.

    Raises:
        ConfigError: no such run or sweep, or several.
    """
    told = {} if note is None else {"note": note}
    path = home_path(word)
    for found in (path, root / path):
        if is_sweep_dir(found):
            return _with_name(found)
    name = word.rstrip("/") or word
    if "/" in name or name in (LATEST, ".", ".."):
        return find_run(word, root, unfinished=unfinished, **told)
    if is_run_dir(path) or is_run_dir(root / path):
        return find_run(word, root, unfinished=unfinished, **told)
    all_runs, all_sweeps = find_run_dirs(root), sweep_dirs(root)
    runs, sweeps = beginning(name, all_runs), beginning(name, all_sweeps)
    if all_sweeps and not (runs or sweeps):
        hint = nearest(name, [found.name for found in (*all_sweeps, *all_runs)])
        raise ConfigError(f"{name}: no run and no sweep of this name below {root}; see bakeoff list{hint}")
    if not sweeps:
        return find_run(word, root, unfinished=unfinished, **told)
    if runs and sweeps[0].name != name:
        told_of = (
            f"{counted(len(runs), 'run')} and {counted(len(sweeps), 'sweep')} have names that begin with it"
        )
        names = shortened([found.name for found in (*sweeps, *runs)], 3)
        raise ConfigError(f"{name}: {told_of} ({names}); give more of the name, or a path")
    return find_sweep(name, root)
