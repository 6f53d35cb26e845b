"""Which pictures a command line means, and which class a folder says they are. No torch, nothing opened."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bakeoff.data.scanning import Tree, tree
from bakeoff.errors import ConfigError, DataError, nearest
from bakeoff.runs.paths import home_path
from bakeoff.text import counted, printable, shortened

STANDARD_INPUT = "-"
_MOST_STANDARD_INPUT_BYTES = 2**29
_FORMATS = "PNG, JPEG, BMP, WebP, GIF or TIFF"


@dataclass(frozen=True)
class Asked:
    """One picture that is asked for."""

    name: str  # as the user knows it
    source: Path | bytes
    true: int | None = None  # the class that its folder says
    error: str | None = None  # why it is not even opened


@dataclass(frozen=True)
class _Folder:
    root: Path
    found: Tree
    labels: dict[str, int]  # folder, relative to the root -> class


@dataclass(frozen=True)
class Sources:
    """All pictures of a command line; names are kept, pictures are not."""

    parts: tuple[_Folder | Path | bytes, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return sum(
            len(part.found.pictures) + len(part.found.irregular) if isinstance(part, _Folder) else 1
            for part in self.parts
        )

    @property
    def are_scored(self) -> bool:
        """Whether some lie in folders of classes."""
        return any(isinstance(part, _Folder) and part.labels for part in self.parts)

    def __iter__(self) -> Iterator[Asked]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield Asked(STANDARD_INPUT, part)
            elif isinstance(part, Path):
                yield Asked(str(part), part)
            else:
                for name in part.found.pictures:
                    path = part.root / name
                    yield Asked(str(path), path, part.labels.get(os.path.dirname(name)))
                for name, kind in part.found.irregular.items():
                    yield Asked(str(part.root / name), part.root / name, error=kind)


def sources_of(words: Sequence[str], class_names: Sequence[str]) -> Sources:
    """The pictures of files, folders and standard input.

    A folder named as a class, at any depth below a folder that is given, says what its pictures are.

    Raises:
        ConfigError: no word at all, or standard input is a keyboard.
        DataError: there is no such file or folder, or a folder without pictures.
    """
    parts: list[_Folder | Path | bytes] = []
    notes: list[str] = []
    by_class = _are_classes(words, class_names)
    for word in words:
        path = home_path(word)
        if word == STANDARD_INPUT:
            parts.append(_standard_input())
        elif path.is_dir():
            folder = _folder(path, class_names, by_class.get(word))
            notes += _notes(folder)
            parts.append(folder)
        elif os.path.lexists(path):
            parts.append(path)
        else:
            raise DataError(f"{printable(word)}: no such picture or folder, and no run{_near(path)}")
    return Sources(tuple(parts), tuple(notes))


def _near(path: Path) -> str:
    try:
        return nearest(path.name, os.listdir(path.parent))
    except OSError:
        return ""


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        raise ConfigError("-: reads a picture from standard input; write bakeoff predict RUN - < PICTURE")
    content = sys.stdin.buffer.read(_MOST_STANDARD_INPUT_BYTES + 1)
    if len(content) > _MOST_STANDARD_INPUT_BYTES:
        raise DataError(f"-: more than {_MOST_STANDARD_INPUT_BYTES // 2**20} MiB; give one picture")
    return content


def _are_classes(words: Sequence[str], class_names: Sequence[str]) -> dict[str, int]:
    """Several folders that are all named as classes, as a shell writes `classes/*`, say what is in them."""
    folders = [word for word in words if home_path(word).is_dir()]
    known = _labels_by_name(class_names)
    found = {word: known.get(home_path(word).resolve().name) for word in folders}
    labels = {word: label for word, label in found.items() if label is not None}
    return labels if len(labels) == len(found) > 1 else {}


def _folder(root: Path, class_names: Sequence[str], label: int | None) -> _Folder:
    found = tree(root, root)
    if not found.pictures and not found.irregular:
        raise DataError(f"{root}: holds no picture ({_FORMATS})")
    folders = {os.path.dirname(name) for name in found.pictures}
    known = _labels_by_name(class_names)
    labels = {}
    for folder in folders:
        # The outermost that is a class: `test/7/mine/` is a 7.
        named = [
            known[part] for name in folder.split("/") for part in (name, name.casefold()) if part in known
        ]
        if named or label is not None:
            labels[folder] = named[0] if label is None else label
    return _Folder(root, found, labels)


def _labels_by_name(class_names: Sequence[str]) -> dict[str, int]:
    """Class by its name; in any case of letters where no two differ by that alone."""
    folded = [name.casefold() for name in class_names]
    by_name = {name: label for label, name in enumerate(folded) if folded.count(name) == 1}
    return by_name | {name: label for label, name in enumerate(class_names)}


def _notes(folder: _Folder) -> Iterator[str]:
    """What of a folder is not used, or not scored."""
    if folder.labels:
        others: dict[str, int] = {}
        for name in folder.found.pictures:
            place = os.path.dirname(name)
            if place not in folder.labels:
                others[place] = others.get(place, 0) + 1
        inside = [f"{printable(place)}/" for place in sorted(others) if place]
        if inside:
            num = sum(count for place, count in others.items() if place)
            are = "is no class" if len(inside) == 1 else "are no classes"
            yield (
                f"{folder.root}: {shortened(inside)} {are} of the run: {counted(num, 'picture')} predicted, "
                "not scored"
            )
        if others.get(""):
            yield f"{folder.root}: {counted(others[''], 'picture')} outside of folders of classes, not scored"
    passed = [printable(name) for name in folder.found.unused if not Path(name).name.startswith(".")]
    if passed:
        yield f"{folder.root}: skipped (no {_FORMATS}): {shortened(passed, 3)}"
