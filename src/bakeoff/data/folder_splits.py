"""Which picture of a user's folder goes into which split: the user's own splits, or parts that are set apart.

Decided by names, and by which files are equal, before a picture is opened: so each split is decoded straight
into its own tensor, and a broken picture moves no other one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bakeoff.config.schema import DataConfig
from bakeoff.data.copies import equal_files, notes_on_equal_files
from bakeoff.data.folders import Picture, PictureFolder, list_pictures
from bakeoff.data.selection import MEANINGS, select, stratified_groups
from bakeoff.errors import DataError

TEST_FRACTION = 0.2  # of each class, where the user has set no pictures apart
_MORE = "add pictures, or give them folders of their own beside train/"


@dataclass(frozen=True)
class FolderSplits:
    """The pictures of each split, with the numbers of the chosen classes as labels."""

    class_names: tuple[str, ...]
    parts: dict[str, list[Picture]]  # train, perhaps val, test
    has_own_val: bool  # by a folder of the user's, not by data.val_fraction
    set_apart: tuple[str, ...]  # splits that are no folders of the user's
    broken: dict[str, str]  # names that are no regular files, and what they are
    notes: tuple[str, ...]


def split_folder(config: DataConfig, root: Path) -> FolderSplits:
    """Lists the pictures and gives each its split.

    Raises:
        DataError: a folder that is no data set, what is no regular file (without `data.skip_broken`), or
            too few pictures to set any apart.
        ConfigError: classes or a number of pictures that are not there.
    """
    folder = list_pictures(root)
    if folder.irregular and not config.skip_broken:
        name, kind = min(folder.irregular.items())
        raise DataError(f"{root / name}: no regular file ({kind}); remove it, or set data.skip_broken=true")
    train, val, test, notes = _parts(config, root, folder)
    chosen = select(config, folder.class_names, _labels(train), _labels(val) if val else None, _labels(test))

    def renumbered(pictures: list[Picture], positions: np.ndarray) -> list[Picture]:
        return [Picture(item.name, int(chosen.new_label[item.label])) for item in _at(pictures, positions)]

    parts = {"train": renumbered(train, chosen.train)}
    if chosen.val is not None:
        parts["val"] = renumbered(val, chosen.val)
    parts["test"] = renumbered(test, chosen.test)
    for name, pictures in parts.items():
        if not pictures:
            raise DataError(
                f"data.root={root}: no {MEANINGS[name]} picture of the classes "
                f"{', '.join(chosen.class_names)}"
            )
    irregular = {name: f"no regular file ({kind})" for name, kind in folder.irregular.items()}
    own = {"train": True, "val": bool(folder.val), "test": bool(folder.test)}
    set_apart = tuple(name for name in parts if not own[name])
    notes = (*folder.notes, *notes)
    return FolderSplits(chosen.class_names, parts, own["val"], set_apart, irregular, notes)


def _parts(
    config: DataConfig, root: Path, folder: PictureFolder
) -> tuple[list[Picture], list[Picture], list[Picture], tuple[str, ...]]:
    """Training, validation and test pictures, and what to say of parts that were set apart."""
    train, val, test = folder.train, folder.val, folder.test
    cuts_val = not val and config.val_fraction > 0
    if test and not cuts_val:
        return train, val, test, _not_applied(config, root, val)
    names = [picture.name for picture in train]
    groups = equal_files(root, names)
    notes = notes_on_equal_files(root, names, groups)
    left = groups
    if not test:
        kept, apart = stratified_groups(_labels(train), groups, TEST_FRACTION)
        if not len(apart):
            raise DataError(
                f"data.root={root}: {_too_few(folder, groups)} to set a fifth apart as test images; {_MORE}"
            )
        train, test, left = _at(folder.train, kept), _at(folder.train, apart), groups[kept]
    if cuts_val:
        kept, held = stratified_groups(_labels(train), left, config.val_fraction)
        if not len(held):
            raise DataError(
                f"data.root={root}: {_too_few(folder, groups)} for data.val_fraction={config.val_fraction}; "
                f"raise it, or {_MORE}"
            )
        train, val = _at(train, kept), _at(train, held)
    notes = (*_set_apart(root, folder, test, val), *notes, *_not_applied(config, root, folder.val))
    return train, val, test, notes


def _set_apart(root: Path, folder: PictureFolder, test: list[Picture], val: list[Picture]) -> tuple[str, ...]:
    if folder.test:
        return ()
    count = f"{len(test):,} of {len(folder.train):,} pictures"
    stored = "the same for all runs (files.json lists them)"
    if folder.has_parts:
        return (f"{root}: no test/ folder, so {count} are set apart as test images, {stored}",)
    also = f" and {len(val):,} for validation" if val else ""
    return (f"{root}: class folders alone, so {count} are set apart as test images{also}, {stored}",)


def _not_applied(config: DataConfig, root: Path, val: list[Picture]) -> tuple[str, ...]:
    if not val or config.val_fraction == DataConfig().val_fraction:
        return ()
    key = f"data.val_fraction={config.val_fraction:g}"
    return (f"{root}: {key} is not applied: the folder of validation pictures is used",)


def _too_few(folder: PictureFolder, groups: np.ndarray) -> str:
    """Copies of a picture, which have one number in `groups`, count once in each class."""
    different = np.unique(np.stack([groups, _labels(folder.train)]), axis=1)
    counts = np.bincount(different[1], minlength=len(folder.class_names))
    rarest = int(counts.argmin())
    of_rarest = f"of class {folder.class_names[rarest]} {counts[rarest]:,}"
    return f"too few different pictures ({len(np.unique(groups)):,}, {of_rarest})"


def _labels(pictures: Sequence[Picture]) -> np.ndarray:
    return np.array([picture.label for picture in pictures], dtype=np.int64)


def _at(pictures: Sequence[Picture], positions: np.ndarray) -> list[Picture]:
    return [pictures[position] for position in positions]
