"""A user's folder of pictures: which files belong to which class. No torch, no picture is opened.

`train/<class>/*` and `test/<class>/*` below the data root, PNG, JPEG, BMP and WebP in any case of the
extension. What is no picture by its name (`.DS_Store`, `Thumbs.db`, notes) and what is hidden is passed
over. Without `test/`, a part of the training pictures is set apart (see `data/image_folder.py`).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import DataError
from bakeoff.text import printable

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class Picture:
    """A file by its name relative to the root, and its class."""

    name: str
    label: int


@dataclass(frozen=True)
class PictureFolder:
    """All pictures, those of `train/` first, each part sorted by name."""

    class_names: tuple[str, ...]
    train: list[Picture]
    test: list[Picture]  # empty without a folder `test/`

    @property
    def pictures(self) -> list[Picture]:
        """Both parts."""
        return self.train + self.test


def list_pictures(root: Path) -> PictureFolder:
    """Lists the pictures below a root; classes are the folders of `train/`, sorted by name.

    Raises:
        DataError: no `train/`, fewer than two classes, a class without pictures, or a class that
            only `test/` has.
    """
    train_folders = _class_folders(root / "train")
    if len(train_folders) < 2:
        raise DataError(
            f"data.root={root}: {'one class' if train_folders else 'no class'} in train/; put the pictures "
            "into train/<class>/ and test/<class>/, at least two classes"
        )
    train = [
        Picture(name, label)
        for label, folder in enumerate(train_folders)
        for name in _own_pictures(root, root / "train" / folder)
    ]
    test = []
    for folder in _class_folders(root / "test") if (root / "test").is_dir() else []:
        if folder not in train_folders:
            raise DataError(f"{root / 'test' / folder}: a class that train/ does not have")
        label = train_folders.index(folder)
        test += [Picture(name, label) for name in _own_pictures(root, root / "test" / folder)]
    if (root / "test").is_dir() and not test:
        raise DataError(f"{root / 'test'}: no pictures; remove it, and a part of train/ is set apart")
    return PictureFolder(tuple(map(printable, train_folders)), train, test)


def _class_folders(part: Path) -> list[str]:
    try:
        entries = [entry.name for entry in os.scandir(part) if entry.is_dir()]
    except OSError as error:
        raise DataError(
            f"data.root={part.parent}: {part.name}/ cannot be read ({error.strerror}); data=image_folder "
            "takes the folder that holds train/<class>/ and perhaps test/<class>/"
        ) from error
    return sorted(name for name in entries if not name.startswith("."))


def _own_pictures(root: Path, folder: Path) -> list[str]:
    """Names relative to the root, of all depths; links to folders are not followed (they may loop)."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(place).relative_to(root)
        found += [
            (inside / name).as_posix()
            for name in files
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS)
        ]
    if not found and folder.parent.name == "train":
        raise DataError(
            f"{folder}: no pictures ({', '.join(EXTENSIONS)}) of this class; add some or remove it"
        )
    return sorted(found)
