"""How a user's folder of pictures is laid out: which folder is which split, as people name them.

`train/<class>/*` with perhaps `val/` and `test/` beside it, under the usual names in any case; or a folder
for each class and nothing above it; either of them perhaps inside of one more folder, as a ZIP unpacks.
What can be meant in two ways is refused. No file is opened.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bakeoff.data.layout_refusals import advice, no_folder, no_layout, some
from bakeoff.data.scanning import Entries, entries, has_pictures, named
from bakeoff.data.selection import MEANINGS
from bakeoff.errors import DataError
from bakeoff.text import counted

# Words that name a split, and words that may stand beside them.
_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "development": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_FILLERS = (
    "set", "data", "dataset", "split", "images", "image", "imgs", "img", "pictures", "photos", "folder",
    "samples",
)  # fmt: skip
_MOST_WRAPPERS = 4
_MOST_LOOKED_INTO = 20  # folders, to see whether they hold pictures


@dataclass(frozen=True)
class Layout:
    """Where the folders of the classes lie."""

    parts: dict[str, Path]  # train, perhaps val and test -> the folder that holds the folders of the classes
    class_folders: tuple[str, ...]  # those of the training pictures
    has_parts: bool  # False: class folders alone
    notes: tuple[str, ...]  # how it was taken, where that is not plain
    unused: tuple[str, ...]  # outside of the parts, relative to the root; folders end with "/"


def find_layout(root: Path) -> Layout:
    """Tells which folder below a root is which split.

    Raises:
        DataError: no folder, nothing that is a layout, or one that may be meant in two ways.
    """
    if not root.is_dir():
        raise DataError(f"data.root={root}: {no_folder(root)}")
    base, unused = root, list[str]()
    for depth in range(_MOST_WRAPPERS + 1):
        here = entries(base)
        parts = _parts(base, here)
        only = base / here.folders[0] if len(here.folders) == 1 else None
        if parts or only is None or here.pictures or depth == _MOST_WRAPPERS or not entries(only).folders:
            break
        unused += _named(root, base, here.files)
        base = only
    if "train" in parts:
        layout = _by_parts(root, base, here, parts)
    else:
        layout = _classes_alone(root, base, here, parts)
    return replace(layout, unused=(*unused, *layout.unused))


def holds_class_folders(root: Path) -> bool:
    """Whether a folder plainly is a data set of pictures, by a look at the first folders alone.

    Pictures must lie where those of classes do: a folder of several data sets has them deeper.
    """
    with suppress(DataError):
        folders = entries(root).folders
        train = next((name for name in folders if part_of(name) == ("train", ())), None)
        place = root / train if train else root
        names = (entries(place).folders if train else folders)[:_MOST_LOOKED_INTO]
        return sum(bool(entries(place / name).pictures) for name in names) > 1
    return False


def part_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a folder's name means, and its other words.

    `Train_Images` is train and no other word, `seg_test` is test and `seg`; None for any other name.
    """
    if not re.fullmatch(r"[A-Za-z0-9 ._-]+", name):
        return None
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()
    joined = re.findall(r"[a-z]+|[0-9]+", spaced)
    words = " ".join(re.sub(r"(?<=[tlvdng])(set|data|images)$", r" \1", word) for word in joined).split()
    words = [word for word in words if word not in _FILLERS]
    found = [word for word in words if word in _WORDS]
    if len(found) != 1:
        return None
    return _WORDS[found[0]], tuple(word for word in words if word != found[0])


def _parts(base: Path, here: Entries) -> dict[str, str]:
    """Split -> its folder, among the folders of one place. A split's folder holds folders of classes.

    Raises:
        DataError: two folders for one split, or one without folders of classes.
    """
    meant = {name: part for name in here.folders if (part := part_of(name))}
    # `seg_train` beside `seg_test` are splits; `steam_train` beside `car` is a class.
    by_rest: dict[tuple[str, ...], set[str]] = {}
    for split, rest in meant.values():
        by_rest.setdefault(rest, set()).add(split)
    likely = {name: split for name, (split, rest) in meant.items() if not rest or len(by_rest[rest]) > 1}
    inside = {name: entries(base / name) for name in likely}
    if not any(split == "train" and inside[name].folders for name, split in likely.items()):
        # Then a folder of pictures alone may be a class, such as `train` beside `car`.
        likely = {name: split for name, split in likely.items() if inside[name].folders}
    parts: dict[str, str] = {}
    for name, split in likely.items():
        if split in parts:
            raise DataError(
                f"data.root={base}: {parts[split]}/ and {name}/ may both be the {MEANINGS[split]} pictures; "
                "rename or move away one of them"
            )
        parts[split] = name
    for name in parts.values():
        if inside[name].pictures and not inside[name].folders:
            raise DataError(
                f"{base / name}: {counted(len(inside[name].pictures), 'picture')} without folders of "
                f"classes; sort them into {name}/<class>/, or rename {name}/ to leave them out"
            )
    return parts


def _by_parts(root: Path, base: Path, here: Entries, parts: dict[str, str]) -> Layout:
    unused = _named(root, base, here.files)
    unused += [f"{name}/" for name in _named(root, base, here.folders, but=tuple(parts.values()))]
    inner: dict[str, Path] = {}
    class_folders: tuple[str, ...] = ()
    for part in MEANINGS:  # train comes first
        if part in parts:
            inner[part] = _inner(base / parts[part], class_folders)
            if inner[part] != base / parts[part]:
                unused += _named(root, base / parts[part], entries(base / parts[part]).files)
        class_folders = tuple(entries(inner["train"]).folders)
    notes: tuple[str, ...] = ()
    if any(path != root / part for part, path in inner.items()):
        taken = [f"{_named(root, path)[0]}/ for {MEANINGS[part]}" for part, path in inner.items()]
        notes = (f"{root}: using {', '.join(taken)}",)
    return Layout(inner, class_folders, has_parts=True, notes=notes, unused=tuple(unused))


def _inner(part: Path, class_folders: tuple[str, ...]) -> Path:
    """Looks through a folder that only wraps the classes, as `train/images/<class>/`."""
    here = entries(part)
    if len(here.folders) != 1 or here.pictures or here.folders[0] in class_folders:
        return part
    only = part / here.folders[0]
    inside = entries(only)
    return part if len(inside.folders) < 2 or inside.pictures else only


def _classes_alone(root: Path, base: Path, here: Entries, parts: dict[str, str]) -> Layout:
    """A folder for each class, if that is what it is.

    Raises:
        DataError: it is not.
    """
    if base.resolve() in (Path("/"), Path(os.path.expanduser("~")).resolve()):
        raise DataError(f"data.root={root}: holds much more than pictures; give the folder of the pictures")
    filled = [name for name in here.folders if has_pictures(base / name)]
    others = [f"{name}/" for name in filled if name not in parts.values()]
    if parts and filled:
        shown = " and ".join(f"{name}/" for name in parts.values())
        raise DataError(
            f"data.root={root}: {shown}{f' beside {some(others)}' if others else ''}, but no train/ with "
            "folders of classes; the training pictures belong into train/<class>/"
        )
    splits = [name for name in filled if (part_of(name) or ("", ("",)))[1] == ()]
    if len(splits) > 1 or (splits and splits == filled):
        first = next((name for name in splits if part_of(name) == ("train", ())), splits[0])
        raise DataError(
            f"data.root={root}: {some([f'{name}/' for name in splits])} without folders of classes; sort the "
            f"pictures into {first}/<class>/{advice(here.other)}"
        )
    for name in filled:
        for inner in entries(base / name).folders:
            if part_of(inner) == ("train", ()):
                deep = _named(root, base / name, [inner])[0]
                raise DataError(
                    f"data.root={root}: {deep}/ lies one folder too deep; give one data set alone, with "
                    "train/<class>/ directly in it"
                )
    if len(filled) < 2:
        raise DataError(f"data.root={root}: {no_layout(root, base)}")
    _refuse_unknown_splits(root, base, filled)
    inside = () if base == root else (f"{root}: {_named(root, base)[0]}/ is the only folder and is used",)
    notes = (*inside, *_beside(root))
    unused = _named(root, base, here.files)
    unused += [f"{name}/" for name in _named(root, base, here.folders, but=tuple(filled))]
    return Layout({"train": base}, tuple(filled), has_parts=False, notes=notes, unused=tuple(unused))


def _refuse_unknown_splits(root: Path, base: Path, filled: list[str]) -> None:
    """Folders that hold the same folders and no picture themselves may be splits under names of their own.

    Raises:
        DataError: taken as classes they would train a model to tell splits apart.
    """
    inside = [entries(base / name) for name in filled]
    same = sorted(set.intersection(*(set(here.folders) for here in inside)))
    if len(same) > 1 and not any(here.pictures for here in inside):
        names, shared = ([f"{name}/" for name in group] for group in (filled, same))
        raise DataError(
            f"data.root={root}: {some(names)} all hold {some(shared)}; if they are splits, call them train/ "
            "and test/, and if they are classes, put the pictures directly into them"
        )


def _beside(root: Path) -> tuple[str, ...]:
    """A line for a root that is the training folder itself, with the other splits beside it."""
    place = root.resolve()
    found: list[str] = []
    if part_of(place.name) == ("train", ()):
        with suppress(DataError):  # it may be closed to us, or no data set
            parts = find_layout(place.parent).parts
            if place in (parts["train"], *parts["train"].parents):
                others = [path for part, path in parts.items() if part != "train" and has_pictures(path)]
                found = [path.relative_to(place.parent).parts[0] for path in others]
    if not found:
        return ()
    beside = some([f"{name}/" for name in found])
    return (f"{root}: {beside} beside it not used; data.root={place.parent} uses it",)


def _named(root: Path, base: Path, names: list[str] | None = None, but: tuple[str, ...] = ()) -> list[str]:
    """Names of a folder relative to the root; without names that of the folder itself."""
    inside = base.relative_to(root)
    if names is None:
        return [inside.as_posix()]
    return [named(inside, name) for name in names if name not in but]
