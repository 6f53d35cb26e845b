"""How large the images of a run are: as it says, or by what is known of its data. No torch here."""

import re
from functools import lru_cache
from pathlib import Path

from bakeoff.comparison.figures import value_at
from bakeoff.comparison.run import Run
from bakeoff.config.explain import conf_dir, options
from bakeoff.config.meanings import header_of
from bakeoff.runs.kept_images import kept_images

Shape = tuple[int, ...]  # channels, height, width

_LARGEST_KEPT = 32  # pixels a side; larger images are kept smaller than they are
_LARGEST_SIDE = 4096  # as data.image_size
_SIZE_IN_HEADER = re.compile(r"\b(\d+)x(\d+) pixels")


def image_shapes(run: Run) -> list[Shape]:
    """What the images of a run may have been: channels, height, width. One, if that is known."""
    if (recorded := _recorded(run)) is not None:
        return [recorded]
    kept = _kept_shape(run)
    side = value_at(run.config, "data.image_size")
    name = value_at(run.config, "data.name")
    if name == "image_folder":
        if type(side) is not int:
            return []
        return [(kept[0], side, side)] if kept else [(1, side, side), (3, side, side)]
    if kept and max(kept[1:]) < _LARGEST_KEPT:
        return [kept]
    if isinstance(name, str) and name in options("data"):
        match = _SIZE_IN_HEADER.search(header_of(conf_dir() / "data" / f"{name}.yaml").says)
        if match:
            height, width = int(match[1]), int(match[2])
            return [(kept[0], height, width)] if kept else [(1, height, width), (3, height, width)]
    return [kept] if kept else []


def _recorded(run: Run) -> Shape | None:
    """What the summary says; anybody may have written it."""
    sizes = tuple(value_at(run.summary, f"input.{name}") for name in ("channels", "height", "width"))
    if not all(type(size) is int and 0 < size <= _LARGEST_SIDE for size in sizes):
        return None
    return sizes if sizes[0] in (1, 3) else None


def _kept_shape(run: Run) -> Shape | None:
    """Of a test image that an outputs folder keeps."""
    return _kept_above(run.path.parent / "run", run.text("fingerprint", "test_split"))


@lru_cache(maxsize=256)  # all of a data set's images are read to find one; the runs of a folder share them
def _kept_above(run: Path, test_hash: str) -> Shape | None:
    found = kept_images(run, test_hash, [0]).get(0)
    return None if found is None else (found.shape[2], found.shape[0], found.shape[1])
