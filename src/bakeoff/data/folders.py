"""A user's folder of pictures: which files belong to which class and split. No torch, no picture is opened.

`layout.py` says which folder is which split. Pictures are known by the ends of their names; what is no
picture, what is hidden and what lies elsewhere is counted and named. Without `test/` or `val/`, parts of
the training pictures are set apart (see `data/folder_splits.py`).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from bakeoff.data.layout import Layout, find_layout
from bakeoff.data.layout_refusals import some
from bakeoff.data.scanning import EXTENSIONS, entries, named, tree
from bakeoff.errors import DataError, nearest
from bakeoff.text import counted, printable


@dataclass(frozen=True)
class Picture:
    """A file by its name relative to the root, and its class."""

    name: str
    label: int


@dataclass(frozen=True)
class PictureFolder:
    """All pictures of the folder, each part sorted by class and name."""

    class_names: tuple[str, ...]
    train: list[Picture]
    val: list[Picture]  # empty without a folder for them
    test: list[Picture]  # the same
    has_parts: bool  # False: class folders alone, all of them in `train`
    irregular: dict[str, str]  # named as pictures, but no regular files: name -> what they are
    unused: tuple[str, ...]  # all else by its name, folders once and with "/" at the end
    notes: tuple[str, ...]  # how the folder was taken, and what of it is not used

    @property
    def pictures(self) -> list[Picture]:
        """All parts."""
        return self.train + self.val + self.test


def list_pictures(root: Path) -> PictureFolder:
    """Lists the pictures below a root; classes are the folders of the training pictures.

    Names that are all whole numbers stand in the order of numbers, others in that of text.

    Raises:
        DataError: no layout that can be told, fewer than two classes, a class without pictures, or a
            class that the training pictures do not have.
    """
    layout = find_layout(root)
    classes = sorted_classes(layout.class_folders)
    if len(classes) < 2:
        shown = layout.parts["train"].relative_to(root).as_posix()
        raise DataError(
            f"data.root={root}: {'one class' if classes else 'no class'} in {shown}/; put the pictures "
            f"into {shown}/<class>/ and test/<class>/, at least two classes"
        )
    listing = _Listing(root, layout)
    parts = {part: listing.part(part, classes) for part in layout.parts}
    unused = tuple(sorted({*layout.unused, *listing.unused}))
    return PictureFolder(
        tuple(map(printable, classes)),
        parts["train"],
        parts.get("val", []),
        parts.get("test", []),
        layout.has_parts,
        listing.irregular,
        unused,
        (*layout.notes, *_not_used(root, unused)),
    )


def sorted_classes(names: tuple[str, ...]) -> list[str]:
    """By number where all names are whole numbers (2 before 10), else as text."""
    if all(re.fullmatch(r"-?[0-9]+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


class _Listing:
    """Goes through the parts and gathers what is beside the pictures."""

    def __init__(self, root: Path, layout: Layout) -> None:
        self.root = root
        self.layout = layout
        self.irregular: dict[str, str] = {}
        self.unused: list[str] = []

    def part(self, part: str, classes: list[str]) -> list[Picture]:
        """The pictures of one split."""
        place = self.layout.parts[part]
        here = entries(place)
        # Of class folders alone the layout has looked beside them.
        inside = place.relative_to(self.root)
        self.unused += [named(inside, name) for name in here.files]
        pictures: list[Picture] = []
        folders = classes if part == "train" else here.folders
        for folder in sorted(folders, key=lambda name: classes.index(name) if name in classes else -1):
            if folder not in classes:
                raise DataError(
                    f"{place / folder}: a class that {self.layout.parts['train'].name}/ does not have"
                    f"{nearest(folder, classes)}; rename it, or rename {place.name}/ to leave that out"
                )
            names = self._pictures(place / folder)
            if part == "train" and not names:
                raise DataError(
                    f"{place / folder}: no pictures ({', '.join(EXTENSIONS)}) of this class; add some or "
                    "remove it"
                )
            pictures += [Picture(name, classes.index(folder)) for name in names]
        if not pictures:
            train = self.layout.parts["train"].name
            raise DataError(f"{place}: no pictures; remove it, and a part of {train}/ is set apart")
        return pictures

    def _pictures(self, folder: Path) -> list[str]:
        found = tree(self.root, folder)
        self.irregular |= found.irregular
        self.unused += found.unused
        return found.pictures


def _not_used(root: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """One line that counts what is not used, files and folders, and names the first of each."""
    folders = [name for name in names if name.endswith("/")]
    files = [name for name in names if not name.endswith("/")]
    told = [
        f"{counted(len(found), noun)} ({some(found)})"
        for found, noun in ((files, "file"), (folders, "folder"))
        if found
    ]
    return (f"{root}: not used: {' and '.join(told)}",) if told else ()
