"""The same picture more than once: in one split it does no harm, in two it makes a score too good.

Files with the same bytes are found before a picture is opened, so that a split of our own can keep them
together. Pictures that are equal as the model sees them are counted when all are decoded: another format or
another comment in the file does not hide them.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bakeoff.data.hashes import content_hash
from bakeoff.data.opening import opened_picture
from bakeoff.data.selection import MEANINGS
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import Bar
from bakeoff.text import printable


def equal_files(root: Path, names: Sequence[str]) -> np.ndarray:
    """Numbers files by their bytes: int64 [n], equal for equal files, else different.

    Only files of one size are read. What is no picture, as the same error page a hundred times, is equal to
    nothing.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        try:
            by_size[(root / name).stat().st_size].append(place)
        except OSError:
            continue  # the decoder says why
    groups = np.arange(len(names), dtype=np.int64)
    alike = [places for places in by_size.values() if len(places) > 1]
    with Bar("looking for copies", sum(map(len, alike)), "pictures") as bar:
        for places in alike:
            equal: dict[str, list[int]] = defaultdict(list)
            for place in places:
                check_stop()
                with suppress(OSError):
                    equal[content_hash(root / names[place])].append(place)
                bar.move_by(1)
            for copies in equal.values():
                if len(copies) > 1 and _is_picture(root / names[copies[0]]):
                    groups[copies] = copies[0]
    return groups


def notes_on_equal_files(root: Path, names: Sequence[str], groups: np.ndarray) -> tuple[str, ...]:
    """A line for pictures that a split of our own keeps together."""
    copies = np.flatnonzero(groups != np.arange(len(groups)))
    if not len(copies):
        return ()
    copy, original = names[copies[0]], names[groups[copies[0]]]
    note = (
        f"{root}: {len(copies):,} of {len(names):,} pictures are copies of another "
        f"({printable(copy)} = {printable(original)}); no copy is put into another split than its original"
    )
    return (note,)


def notes_on_equal_pictures(
    root: Path,
    pixels: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    files: Mapping[str, Sequence[str]],
    set_apart: Collection[str] = (),
) -> tuple[str, ...]:
    """Lines for pictures that stand in two splits or in two classes.

    Args:
        root: the folder, for the text.
        pixels: split -> uint8 [n, c, h, w].
        labels: split -> int64 [n].
        files: split -> the names of its pictures.
        set_apart: those of the splits that are no folders of the user's.
    """
    seen = {part: _digests(rows) for part, rows in pixels.items()}
    height, width = next(iter(pixels.values())).shape[2:]
    theirs, ours = list[str](), list[str]()
    for one, other in (("train", "test"), ("val", "test"), ("train", "val")):
        if one in seen and other in seen:
            first = {content: place for place, content in enumerate(seen[one])}
            equal = [place for place, content in enumerate(seen[other]) if content in first]
            if equal:
                example = files[other][equal[0]], files[one][first[seen[other][equal[0]]]]
                is_ours = {one, other} - {"train"} <= set(set_apart)
                (ours if is_ours else theirs).append(
                    f"{len(equal):,} of {len(files[other]):,} {MEANINGS[other]} pictures are also "
                    f"{MEANINGS[one]} pictures ({' = '.join(map(printable, example))})"
                )
    notes = []
    if theirs:
        notes.append(
            f"{root}: the same picture in two splits, compared at {height}x{width} pixels: "
            f"{'; '.join(theirs)}; such a score is too good: remove the copies"
        )
    if ours:
        notes.append(
            f"{root}: bakeoff's own split has parted pictures whose files differ but that are equal at "
            f"{height}x{width} pixels: {'; '.join(ours)}; such a score is too good: keep one of each, or "
            "make folders train/, val/ and test/ of your own"
        )
    return (*notes, *_contradictions(root, seen, labels, files))


def _contradictions(
    root: Path,
    seen: Mapping[str, list[bytes]],
    labels: Mapping[str, np.ndarray],
    files: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    places: dict[bytes, dict[int, str]] = defaultdict(dict)
    count: dict[bytes, int] = defaultdict(int)
    for part, contents in seen.items():
        for content, label, name in zip(contents, labels[part].tolist(), files[part], strict=True):
            places[content].setdefault(label, name)
            count[content] += 1
    twice = [content for content, names in places.items() if len(names) > 1]
    if not twice:
        return ()
    example = " = ".join(printable(name) for name in list(places[twice[0]].values())[:2])
    note = (
        f"{root}: {sum(count[content] for content in twice):,} pictures are equal to one of another class "
        f"({example}); no model can tell them apart: remove or move them"
    )
    return (note,)


def _is_picture(path: Path) -> bool:
    try:
        with opened_picture(path):
            return True
    except Exception:  # noqa: BLE001 - Pillow's decoders raise a dozen kinds
        return False


def _digests(rows: np.ndarray) -> list[bytes]:
    found = []
    for row in rows:
        check_stop()
        found.append(hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest())
    return found
