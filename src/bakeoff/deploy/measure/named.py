"""What words name: runs, one run of each configuration of a sweep, exported files. No torch here."""

import os
from collections.abc import Iterable
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.runs.folders import is_run_dir
from bakeoff.runs.locate import find_run_dirs, resolve
from bakeoff.runs.paths import home_path
from bakeoff.runs.reading import UnreadableFileError, read_json
from bakeoff.runs.rundir import SUMMARY, WEIGHTS

_ENDINGS = (".onnx", ".pt2")


def named(words: Iterable[str], root: Path) -> list[tuple[Path, bool]]:
    """Paths of runs and files, each once, and whether it is a file.

    Args:
        words: paths, names of runs and sweeps, `latest`.
        root: where runs are looked for.

    Raises:
        ConfigError: a word names nothing, or a folder without a finished run.
    """
    return list(dict.fromkeys(path for word in words for path in _named(word, root)))


def _named(word: str, root: Path) -> list[tuple[Path, bool]]:
    path = home_path(word)
    if path.is_file() or (path.suffix.lower() in _ENDINGS and not path.is_dir()):
        if not os.path.lexists(path):
            raise ConfigError(f"{path}: no such file; write one with bakeoff export RUN -o {path}")
        return [(path, True)]
    found = resolve(word, root)
    if is_run_dir(found):
        return [(found, False)]
    runs = _one_of_each(find_run_dirs(found))
    if not runs:
        raise ConfigError(f"{word}: no finished run there; see bakeoff list {word}")
    return [(run, False) for run in runs]


def _one_of_each(runs: Iterable[Path]) -> list[Path]:
    """A run of each configuration: a seed changes no times. Rather one that has its weights."""
    chosen: dict[str, Path] = {}
    for run in runs:
        try:
            setting = str(read_json(run / SUMMARY).get("setting"))
        except UnreadableFileError:
            continue
        if setting not in chosen or (_has_weights(run) and not _has_weights(chosen[setting])):
            chosen[setting] = run
    return list(chosen.values())


def _has_weights(run: Path) -> bool:
    return os.path.lexists(run / WEIGHTS)
