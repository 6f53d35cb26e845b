"""The words of `bakeoff predict`: which are runs, which pictures, and what does not go together."""

import argparse
import os
from pathlib import Path

from bakeoff.errors import ConfigError
from bakeoff.runs.folders import is_run_dir, refuse_run_files
from bakeoff.runs.locate import find_run
from bakeoff.runs.paths import home_path
from bakeoff.text import printable

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
_EXPORTED = (".onnx", ".pt2")


def runs_and_pictures(words: list[str], root: Path) -> tuple[list[Path], list[str]]:
    """The first word is a run, and so are those behind it that name one and no picture or folder.

    Raises:
        ConfigError: no such run, or one stands behind a picture.
    """
    if "" in words:  # as an unset variable of a shell is; a path without a name would be this folder
        raise ConfigError('"": an empty word; give a picture, a folder or a run')
    if Path(words[0]).suffix in _EXPORTED and Path(words[0]).is_file():
        raise ConfigError(
            f"{printable(words[0])}: an exported file; give the run that it came from, or open it as "
            "docs/export.md says"
        )
    paths = [find_run(words[0], root)]
    rest = words[1:]
    while rest and (found := _as_run(rest[0], root)) is not None:
        paths.append(found)
        rest = rest[1:]
    for word in rest:
        if not os.path.lexists(home_path(word)) and _as_run(word, root) is not None:
            raise ConfigError(f"{printable(word)}: a run behind a picture; give all runs first")
    if len(set(map(os.path.realpath, paths))) < len(paths):
        raise ConfigError(f"{' '.join(words[: len(paths)])}: a run stands twice")
    return paths, rest


def _as_run(word: str, root: Path) -> Path | None:
    path = home_path(word)
    if word == "-" or (os.path.lexists(path) and not is_run_dir(path)):
        return None
    try:
        return find_run(word, root, note=lambda _: None)
    except ConfigError:
        return None


def check(options: argparse.Namespace, pictures: list[str]) -> None:
    """What does not go together.

    Raises:
        ConfigError: the first such thing.
    """
    if options.evaluate:
        given = {
            "--csv": options.csv,
            "--draw": options.draw,
            "--as-is": options.as_is,
            "-o": options.output,
            "--top": options.top != 1,
        }
        useless = [name for name, value in given.items() if value]
        if pictures:
            raise ConfigError(
                f"--evaluate: scores runs on their own test images; {printable(pictures[0])} is no run, "
                "leave it out"
            )
        if useless:
            raise ConfigError(f"{useless[0]}: of pictures, and --evaluate takes none; leave one of them out")
    elif not pictures:
        raise ConfigError("no picture: give files, folders, or - for standard input")
    elif options.data_root is not None:
        raise ConfigError("--data-root: only --evaluate reads the data set; leave it out")
    if options.output is not None:
        refuse_run_files(options.output)
        read = [home_path(word) for word in pictures]
        same = options.output.exists() and any(one.exists() and one.samefile(options.output) for one in read)
        if same or options.output.suffix.lower() in _PICTURES:
            raise ConfigError(f"-o {options.output}: a picture, and answers are text; give another name")
    if pictures.count("-") > 1:
        raise ConfigError("-: standard input holds one picture; give - once")
