"""What is said of a folder that is no data set: what lies there, what was expected, what to do."""

from pathlib import Path

from bakeoff.data.scanning import entries
from bakeoff.text import counted, printable

EXPECTED = "expected train/<class>/ and perhaps val/<class>/ and test/<class>/, or a folder for each class"
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".json")


def no_folder(root: Path) -> str:
    """What a path is that is no folder; told by its name, never opened."""
    name = root.name.lower()
    if not root.exists():
        what = "no such folder"
    elif not root.is_file():
        what = "no folder"
    elif name.endswith(_ARCHIVES):
        what = "an archive; unpack it and give the folder"
    elif name.endswith(_TABLES):
        what = "a table, not a folder of pictures"
    else:
        what = "a file, not a folder"
    return f"{what}; {EXPECTED}"


def no_layout(root: Path, base: Path) -> str:
    """What lies in a folder, the root or one inside of it, that holds neither splits nor classes."""
    name = "it" if base == root else f"{base.relative_to(root).as_posix()}/"
    here = entries(base)
    folders = [f"{printable(name)}/ with {_content(base / name)}" for name in here.folders[:3]]
    folders += ["..."] if here.folders[3:] else []
    there = [f"{counted(len(here.folders), 'folder')} ({', '.join(folders)})"] if folders else []
    there += [counted(len(here.pictures), "picture")] if here.pictures else []
    there += [f"{counted(len(here.other), 'other file')} ({some(here.other)})"] if here.other else []
    found = f"{name} holds {' and '.join(there)}" if there else f"{name} is empty"
    one = len(here.folders) == 1 and bool(entries(base / here.folders[0]).pictures)
    few = "; one folder is one class, and at least two classes are needed" if one else ""
    return f"{found}; {EXPECTED}{advice(here.other) or few}"


def some(names: list[str], most: int = 3) -> str:
    """The first of some names."""
    return ", ".join([*map(printable, names[:most]), *(["..."] if names[most:] else [])])


def _content(folder: Path) -> str:
    here = entries(folder)
    if here.folders:
        return counted(len(here.folders), "folder")
    return counted(len(here.pictures), "picture") if here.pictures else "no picture"


def advice(names: list[str]) -> str:
    """What to do with a table or an archive among the files that lie there."""
    tables = [name for name in names if name.lower().endswith(_TABLES)]
    archives = [name for name in names if name.lower().endswith(_ARCHIVES)]
    if tables:
        return f"; the table {printable(tables[0])} is not read: sort the pictures into folders by it"
    return f"; unpack {printable(archives[0])}" if archives else ""
