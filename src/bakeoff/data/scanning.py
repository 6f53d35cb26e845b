"""What lies in a folder of the user's: pictures by their names, other files, folders. Nothing is opened.

A named pipe among the pictures would be waited on for ever, so the kind of each entry is asked for first.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.errors import DataError
from bakeoff.machine.signals import check_stop

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
# What systems leave behind: never the user's own, so no word about them.
_LEFT_BY_SYSTEMS = (".ds_store", "thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin")
_KINDS = {
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


@dataclass(frozen=True)
class Entries:
    """What one folder holds, by names; each sorted."""

    folders: list[str]  # also links to folders
    links: set[str]  # those of the folders that are links
    pictures: list[str]  # by their extension
    other: list[str]  # files that are no pictures, and all that is hidden; hidden folders end with "/"
    irregular: dict[str, str]  # named as pictures, but no regular files -> what they are

    @property
    def files(self) -> list[str]:
        """All that is no folder of its own name: what is not used where only folders count."""
        return [*self.other, *self.pictures, *self.irregular]


@dataclass
class Tree:
    """What lies below a folder, at any depth, by names relative to a root; each sorted."""

    pictures: list[str] = field(default_factory=list)
    irregular: dict[str, str] = field(default_factory=dict)  # name -> what it is
    unused: list[str] = field(default_factory=list)  # folders end with "/"


def entries(folder: Path) -> Entries:
    """Looks into one folder.

    Raises:
        DataError: it cannot be read.
    """
    found = Entries([], set(), [], [], {})
    try:
        with os.scandir(folder) as scanned:
            for entry in scanned:
                _sort_in(entry, found)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error
    for names in (found.folders, found.pictures, found.other):
        names.sort()
    return found


def tree(root: Path, folder: Path) -> Tree:
    """Looks into a folder and all below it; links to folders are not followed, for they may loop.

    Raises:
        DataError: a folder cannot be read.
    """
    found = Tree()
    todo = [folder]
    while todo:
        check_stop()
        place = todo.pop()
        here, inside = entries(place), place.relative_to(root)
        todo += [place / name for name in here.folders if name not in here.links]
        found.pictures += [named(inside, name) for name in here.pictures]
        found.irregular |= {named(inside, name): kind for name, kind in here.irregular.items()}
        found.unused += [named(inside, name) for name in (*here.other, *(f"{link}/" for link in here.links))]
    found.pictures.sort()
    found.unused.sort()
    return found


def named(inside: Path, name: str) -> str:
    """The name of an entry of a folder, where that lies below a root; "/" stays at a folder's end."""
    return (inside / name).as_posix() + ("/" if name.endswith("/") else "")


def has_pictures(folder: Path) -> bool:
    """Whether a picture, or what is named as one, lies below a folder; ends at the first.

    Raises:
        DataError: a folder cannot be read.
    """
    todo = [folder]
    while todo:
        check_stop()
        place = todo.pop()
        here = entries(place)
        if here.pictures or here.irregular:
            return True
        todo += [place / name for name in here.folders if name not in here.links]
    return False


def is_picture_name(name: str) -> bool:
    """Whether a name ends as a picture's, in any case."""
    return name.lower().endswith(EXTENSIONS)


def _sort_in(entry: "os.DirEntry[str]", found: Entries) -> None:
    name = entry.name
    if name.lower() in _LEFT_BY_SYSTEMS or name.startswith("._"):
        return
    is_folder = _asked(entry.is_dir)
    if name.startswith("."):
        found.other.append(f"{name}/" if is_folder else name)
    elif is_folder:
        found.folders.append(name)
        if entry.is_symlink():
            found.links.add(name)
    elif not is_picture_name(name):
        found.other.append(name)
    elif _asked(entry.is_file):
        found.pictures.append(name)
    else:
        found.irregular[name] = _kind(entry)


def _asked(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link that leads to itself, or to where one may not look
        return False


def _kind(entry: "os.DirEntry[str]") -> str:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "a link that leads nowhere" if entry.is_symlink() else "a file that is gone"
    return next((text for is_kind, text in _KINDS.items() if is_kind(mode)), "of another kind")
