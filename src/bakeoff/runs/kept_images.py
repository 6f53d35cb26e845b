"""Test images that are kept beside the runs, for reports. No torch here.

All images of a test set with at most 32 pixels a side are in `datasets/<hash>.npz`.
Of larger ones only those that a report may show are kept, scaled down to at most 96 pixels a side:
`datasets/<hash>/<position in the test set>.png`.
"""

import io
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.runs.array_files import ArrayStream, opened_archive, opened_array
from bakeoff.runs.reading import UnreadableFileError, read_bytes
from bakeoff.runs.rundir import DATASETS
from bakeoff.runs.storage import make_folder, storage_errors, write_atomically

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

LONGEST_SIDE = 96  # pixels, of what is kept
_HASH = re.compile(r"[0-9a-f]{64}")
_FOLDERS_UP = 6
_IMAGES_AT_ONCE = 16  # in memory, in their full size
_MODES = {"L": 1, "RGB": 3}
# 96 x 96 pixels of noise in three colours take 28 kB.
_MAX_PNG_BYTES = 2**16
_MAX_ARCHIVE_BYTES, _MAX_PIXEL_BYTES = 2**29, 2**30
_BYTES_AT_ONCE = 2**20


def write_test_images(output_dir: Path, test_hash: str, images: "np.ndarray", labels: "np.ndarray") -> None:
    """Keeps the test images once per test set: uint8 [n, c, h, w], at most 32 pixels a side."""
    import numpy as np

    path = output_dir / DATASETS / f"{test_hash}.npz"
    if path.exists():
        return
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez_compressed(content, images=images, labels=labels)
    write_atomically(path, lambda file: file.write(content.getvalue()))


def keep_images(
    output_dir: Path, test_hash: str, wanted: Iterable[int], pixels: Callable[[list[int]], "np.ndarray"]
) -> None:
    """Writes images that are not there yet. Several runs may do so at once: each file appears whole.

    Args:
        output_dir: where the runs are; it is there.
        test_hash: SHA-256 (hex) of the test split.
        wanted: positions in the test split.
        pixels: positions -> their images, uint8 [n, c, h, w], c 1 or 3.

    Raises:
        ResourceError: a file cannot be written.
    """
    folder = output_dir / DATASETS / test_hash
    for path in (folder.parent, folder):
        make_folder(path)
    missing = [index for index in wanted if _is_missing(_file(folder, index))]
    for start in range(0, len(missing), _IMAGES_AT_ONCE):
        some = missing[start : start + _IMAGES_AT_ONCE]
        for index, image in zip(some, pixels(some), strict=True):
            content = _png(image)
            _put(_file(folder, index), content)


def _put(path: Path, content: bytes) -> None:
    # A disk that turns takes seconds to confirm 80 small files, and what is lost is written by the next run.
    write_atomically(path, lambda file: file.write(content), sync=False)


def _is_missing(path: Path) -> bool:
    """Whether there is no file, or an empty one, as a power cut may leave it."""
    return not os.path.lexists(path) or os.lstat(path).st_size == 0


def kept_images(run: Path, test_hash: str, wanted: Sequence[int]) -> "dict[int, np.ndarray]":
    """Test images by their positions, uint8 [h, w, c], c 1 or 3; what is not kept, or damaged, is missing.

    The archive of small images is read from its beginning to its end: ask once for all images wanted.

    Args:
        run: a run directory, below the folder that holds `datasets/`.
        test_hash: from the run's summary, which may be anybody's.
        wanted: positions in the test split.
    """
    folder = _folder_above(run, test_hash) if _HASH.fullmatch(test_hash) else None
    if folder is None:
        return {}
    places = sorted({int(index) for index in wanted if index >= 0})
    found = _from_archive(folder / f"{test_hash}.npz", places)
    if _is_folder(folder / test_hash):
        for index in places:
            image = None if index in found else _from_png(_file(folder / test_hash, index))
            if image is not None:
                found[index] = image
    return found


def scaled_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of what is kept of an image: never larger than it is."""
    longest = max(height, width)
    if longest <= LONGEST_SIDE:
        return height, width
    return tuple(max(1, round(side * LONGEST_SIDE / longest)) for side in (height, width))  # type: ignore[return-value]


def scaled_down(values: "np.ndarray") -> "np.ndarray":
    """An image, uint8 [h, w] or [h, w, 3], or a map, float32 [h, w], in the size in which it is kept."""
    import numpy as np

    return np.asarray(_scaled_picture(values))


def _scaled_picture(values: "np.ndarray") -> "Image":
    from PIL import Image

    height, width = scaled_size(*values.shape[:2])
    picture = Image.fromarray(values)
    if (height, width) == values.shape[:2]:
        return picture
    # Lanczos is the sharpest; the other has no negative weights, so that a map stays within its range.
    how = Image.Resampling.LANCZOS if values.dtype == "uint8" else Image.Resampling.BOX
    return picture.resize((width, height), how)


def _png(image: "np.ndarray") -> bytes:
    """The file of an image uint8 [c, h, w]."""
    content = io.BytesIO()
    as_rows = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    _scaled_picture(as_rows).save(content, format="PNG")
    return content.getvalue()


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index}.png"


def _folder_above(run: Path, test_hash: str) -> Path | None:
    """The nearest `datasets/` above a run that has something of this test set; no link in its place."""
    for above in islice(Path(os.path.realpath(run)).parents, _FOLDERS_UP):
        folder = above / DATASETS
        if _is_folder(folder) and any(
            os.path.lexists(folder / name) for name in (f"{test_hash}.npz", test_hash)
        ):
            return folder
    return None


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _from_archive(path: Path, places: list[int]) -> "dict[int, np.ndarray]":
    try:
        with opened_archive(path, _MAX_ARCHIVE_BYTES) as archive, opened_array(archive, "images") as images:
            return _gathered(images, places)
    except UnreadableFileError:
        return {}


def _gathered(images: ArrayStream, places: list[int]) -> "dict[int, np.ndarray]":
    """Some of the images uint8 [n, c, h, w], of which a part is in memory at a time."""
    if len(images.shape) != 4 or images.dtype != "uint8":
        raise ValueError("no images")
    count, channels, *sides = images.shape
    if channels not in _MODES.values() or not all(0 < side <= LONGEST_SIDE for side in sides):
        raise ValueError("no images of this size are kept")
    if images.num_bytes > _MAX_PIXEL_BYTES:
        raise ValueError("too many images")
    found: dict[int, np.ndarray] = {}
    rows = max(1, _BYTES_AT_ONCE * count // max(1, images.num_bytes))
    for start in range(0, count, rows):
        some = images.read((min(rows, count - start), *images.shape[1:]))
        found |= {
            place: some[place - start].transpose(1, 2, 0).copy()
            for place in places
            if 0 <= place - start < len(some)
        }
    images.check_end()
    return found


def _from_png(path: Path) -> "np.ndarray | None":
    import numpy as np
    from PIL import Image

    try:
        content = read_bytes(path, _MAX_PNG_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow's for pictures that claim to be huge
            with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
                if max(picture.size) > LONGEST_SIDE or picture.mode not in _MODES:
                    return None
                pixels = np.array(picture)
    except Exception:  # noqa: BLE001 - Pillow's decoders raise a dozen kinds, and a report goes without
        return None
    return pixels.reshape(*pixels.shape[:2], -1)
