"""A user's own pictures, as one tensor of bytes for each split.

`folder_splits.py` decides which file goes into which split before a picture is opened: so each split is
decoded straight into its own tensor, and a broken picture moves no other one.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from bakeoff.config.schema import DataConfig
from bakeoff.data.copies import notes_on_equal_pictures
from bakeoff.data.folder_splits import split_folder
from bakeoff.data.folders import Picture
from bakeoff.data.pictures import (
    BrokenPictureError,
    DecodingBudget,
    Header,
    TooLargePictureError,
    cut_share,
    read_header,
    read_picture,
)
from bakeoff.data.selection import MEANINGS
from bakeoff.data.splits import DataSet, TensorSplit
from bakeoff.errors import DataError
from bakeoff.machine.signals import check_stop
from bakeoff.machine.waiting import Bar
from bakeoff.text import percent, printable

Item = TypeVar("Item")
Result = TypeVar("Result")

_WORTH_SAYING = 0.1  # share of a picture's area that is cut off


def load(config: DataConfig) -> DataSet:
    """Reads the pictures below `data.root`.

    Raises:
        DataError: a folder that is no data set, a broken picture (without `data.skip_broken`), or
            pictures of different sizes without `data.image_size`.
    """
    root = Path(config.root)
    folder = split_folder(config, root)
    parts, notes = folder.parts, folder.notes
    headers, broken = _read_headers(root, [picture for part in parts.values() for picture in part], config)
    broken |= folder.broken
    height, width = _common_size(root, headers, config)
    notes += _notes_on_cutting(headers, config)
    channels = 1 if all(header.is_grey for header in headers.values()) else 3
    splits: dict[str, TensorSplit] = {}
    files: dict[str, list[str]] = {}
    for name, pictures in parts.items():
        good = [picture for picture in pictures if picture.name in headers]
        pixels, kept, failed = _decode(root, good, config, (channels, height, width), name)
        broken |= failed
        if not kept:
            raise DataError(f"{root}: no {MEANINGS[name]} picture can be read")
        splits[name] = TensorSplit(pixels, torch.tensor([picture.label for picture in kept]))
        files[name] = [picture.name for picture in kept]
    pixels_of = {name: split.pixels.numpy() for name, split in splits.items()}
    labels_of = {name: split.labels.numpy() for name, split in splits.items()}
    notes += notes_on_equal_pictures(root, pixels_of, labels_of, files, folder.set_apart)
    if broken:
        too_large = any("data.max_megapixels" in reason for reason in broken.values())
        kind = "broken or too large" if too_large else "broken"
        notes += (f"data.skip_broken=true: {len(broken)} {kind} pictures left out (skipped_files.json)",)
    return DataSet(
        name=config.name,
        class_names=folder.class_names,
        train=splits["train"],
        val=splits.get("val"),
        test=splits["test"],
        notes=tuple(map(printable, notes)),
        files=files,
        skipped=tuple(sorted(broken.items())),
        has_own_val=folder.has_own_val,
    )


def _read_headers(
    root: Path, pictures: Sequence[Picture], config: DataConfig
) -> tuple[dict[str, Header], dict[str, str]]:
    """What each picture says of itself by its name, and why others could not be opened."""

    def read(picture: Picture) -> Header | BrokenPictureError:
        try:
            return read_header(root / picture.name, config.max_megapixels)
        except BrokenPictureError as error:
            return error

    headers: dict[str, Header] = {}
    broken: dict[str, str] = {}
    for picture, result in zip(pictures, _in_parallel(read, pictures, "looking at pictures"), strict=True):
        if isinstance(result, Header):
            headers[picture.name] = result
        else:
            broken[picture.name] = _unless_fatal(root, picture, result, config)
    if not headers:
        raise DataError(f"{root}: no picture can be read")
    return headers, broken


def _decode(
    root: Path,
    pictures: Sequence[Picture],
    config: DataConfig,
    shape: tuple[int, int, int],
    part: str,
) -> tuple[torch.Tensor, list[Picture], dict[str, str]]:
    """Fills one tensor [n, c, h, w] in place; rows of broken pictures are closed up without a copy."""
    pixels = torch.empty((len(pictures), *shape), dtype=torch.uint8)
    rows = pixels.numpy()
    budget = DecodingBudget(config.max_megapixels)

    def decode(row: int) -> BrokenPictureError | None:
        path = root / pictures[row].name
        try:
            rows[row] = read_picture(
                path, config.image_size, shape[0], config.fit, config.max_megapixels, budget
            )
        except BrokenPictureError as error:
            return error
        return None

    kept: list[Picture] = []
    broken: dict[str, str] = {}
    for row, reason in enumerate(
        _in_parallel(decode, range(len(pictures)), f"reading {MEANINGS[part]} pictures")
    ):
        if reason is None:
            kept.append(pictures[row])
        else:
            broken[pictures[row].name] = _unless_fatal(root, pictures[row], reason, config)
    if broken:
        good = [row for row, picture in enumerate(pictures) if picture.name not in broken]
        for place, row in enumerate(good):
            rows[place] = rows[row]
    return pixels[: len(kept)], kept, broken


def _unless_fatal(root: Path, picture: Picture, error: BrokenPictureError, config: DataConfig) -> str:
    if config.skip_broken:
        return str(error)
    if isinstance(error, TooLargePictureError):
        told = f"too large a picture ({error}); raise data.max_megapixels, make it smaller"
    else:
        told = f"broken picture ({error}); fix or remove it"
    raise DataError(f"{root / picture.name}: {told}, or set data.skip_broken=true")


def _common_size(root: Path, headers: dict[str, Header], config: DataConfig) -> tuple[int, int]:
    if config.image_size is not None:
        return config.image_size, config.image_size
    by_size = {(header.height, header.width): name for name, header in headers.items()}
    if len(by_size) > 1:
        shown = ", ".join(f"{name} {height}x{width}" for (height, width), name in list(by_size.items())[:2])
        raise DataError(
            f"{root}: pictures of {len(by_size)} sizes ({shown}); set data.image_size, for instance 64"
        )
    return next(iter(by_size))


def _notes_on_cutting(headers: dict[str, Header], config: DataConfig) -> tuple[str, ...]:
    """What `data.fit=crop` takes away, where it is worth a line."""
    if config.image_size is None or config.fit != "crop":
        return ()
    cut = {name: share for name, header in headers.items() if (share := cut_share(header)) > _WORTH_SAYING}
    if not cut:
        return ()
    most = max(cut, key=lambda name: cut[name])
    note = (
        f"data.fit=crop cuts off more than a tenth of {len(cut):,} of {len(headers):,} pictures "
        f"({percent(sum(cut.values()) / len(cut), 0)} of their area on average, "
        f"{percent(cut[most], 0)} of {most}); "
        "data.fit=pad keeps all of a picture, data.fit=stretch too"
    )
    return (note,)


def _in_parallel(function: Callable[[Item], Result], items: Sequence[Item], title: str) -> Iterator[Result]:
    """Calls a function for each item, in threads (Pillow decodes outside Python's lock), with a bar."""
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pool = ThreadPoolExecutor(num_cores)
    try:
        with Bar(title, len(items), "pictures") as bar:
            for result in pool.map(function, items):
                check_stop()
                yield result
                bar.move_by(1)
    finally:
        # After an error nobody wants the rest.
        pool.shutdown(cancel_futures=True)
