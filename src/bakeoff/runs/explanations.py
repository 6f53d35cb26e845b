"""What a model shows of its decisions about some test images, stored in its run. No torch here.

`explanations.npz` holds plain arrays, and what is text in them as JSON in bytes. It is read with distrust.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.runs.array_files import opened_archive, read_array
from bakeoff.runs.kept_images import LONGEST_SIDE
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.runs.rundir import EXPLANATIONS, RunDir

if TYPE_CHECKING:
    import numpy as np

MOST_BOXES = 20  # of an image; those with the highest scores are kept
_MOST_IMAGES = 200
_MAX_BYTES = 2**24  # of the file, and of each array
_STEPS = 2**16 - 1
_LARGEST_VALUE = 1e30
_LARGEST_SIDE = 100_000  # pixels
_LONGEST_TEXT = 1000  # characters, of a title or the name of a class


@dataclass(frozen=True)
class Explanation:
    """What a model shows of its decision about one image."""

    title: str
    heat: "np.ndarray | None"  # float32 [h, w], over all of the image, at most 96 a side
    boxes: "np.ndarray"  # float32 [k, 4], xyxy in pixels of the input
    box_labels: list[str]
    box_scores: list[float]
    true_box: "np.ndarray | None"  # float32 [4], where it is known
    width: int  # of the input, in pixels
    height: int

    def check(self) -> None:
        """Whether it can be shown.

        Raises:
            ValueError: with the reason.
        """
        import numpy as np

        arrays = [self.boxes, np.array(self.box_scores, dtype=np.float64)]
        arrays += [one for one in (self.heat, self.true_box) if one is not None]
        if not all((np.abs(one) <= _LARGEST_VALUE).all() for one in arrays):  # NaN is not, either
            raise ValueError(
                "an explanation with values that are not finite, or no float32 can hold their range"
            )
        if self.true_box is not None and self.true_box.shape != (4,):
            raise ValueError("a box without four sides")
        heat_sides = (1, 1) if self.heat is None else self.heat.shape
        if len(heat_sides) != 2 or not all(0 < side <= LONGEST_SIDE for side in heat_sides):
            raise ValueError(f"a map that is not of at most {LONGEST_SIDE} x {LONGEST_SIDE}")
        if not all(0 < side <= _LARGEST_SIDE for side in (self.width, self.height)):
            raise ValueError("an explanation of an image of no size")
        count = len(self.box_labels)
        if count > MOST_BOXES or self.boxes.shape != (count, 4) or len(self.box_scores) != count:
            raise ValueError("boxes without a class or a score, or too many of them")
        texts = (self.title, *self.box_labels)
        if not all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in texts):
            raise ValueError("names that are no text, or too long")


def write_explanations(run: RunDir, found: Mapping[int, Explanation]) -> None:
    """Writes explanations by the positions of their images in the test split; their maps are all of one size.

    Raises:
        ResourceError: the file cannot be written.
        ValueError: an explanation that no reader would take.
    """
    import numpy as np

    ordered = [found[index] for index in sorted(found)]
    for one in ordered:
        one.check()
    if not ordered or len(ordered) > _MOST_IMAGES:
        raise ValueError(f"{len(ordered)} explanations, not 1 to {_MOST_IMAGES}")
    heat, heat_range = _in_steps([one.heat for one in ordered if one.heat is not None])
    true_boxes = [one.true_box for one in ordered if one.true_box is not None]
    text = {"titles": [one.title for one in ordered], "box_labels": [one.box_labels for one in ordered]}
    run.write_arrays(
        EXPLANATIONS,
        index=np.array(sorted(found), dtype=np.int64),
        size=np.array([(one.height, one.width) for one in ordered], dtype=np.int64),
        has_heat=np.array([one.heat is not None for one in ordered]),
        heat=heat,
        heat_range=heat_range,
        num_boxes=np.array([len(one.boxes) for one in ordered], dtype=np.int64),
        boxes=np.concatenate([one.boxes for one in ordered]).astype(np.float32),
        box_scores=np.array([score for one in ordered for score in one.box_scores], dtype=np.float32),
        has_true_box=np.array([one.true_box is not None for one in ordered]),
        true_box=np.array(true_boxes, dtype=np.float32).reshape(-1, 4),
        text=np.frombuffer(json.dumps(text).encode("ascii"), np.uint8),
    )


def read_explanations(run: Path) -> dict[int, Explanation]:
    """Explanations by the positions of their images in the test split; none if their file cannot be used."""
    try:
        with opened_archive(run / EXPLANATIONS, _MAX_BYTES) as archive:
            return _read(archive)
    except UnreadableFileError:
        return {}


def _in_steps(heats: "Sequence[np.ndarray]") -> "tuple[np.ndarray, np.ndarray]":
    """Maps as uint16 [n, h, w] from the lowest to the highest value of each, which are float32 [n, 2].

    What counts in a map is where it is high: half the size of float32, and a small range loses nothing.
    """
    import numpy as np

    if not heats:
        return np.zeros((0, 1, 1), np.uint16), np.zeros((0, 2), np.float32)
    maps = np.stack(heats).astype(np.float64)
    low, high = (end(axis=(1, 2), keepdims=True) for end in (maps.min, maps.max))
    steps = np.rint((maps - low) / np.where(high > low, high - low, 1) * _STEPS).astype(np.uint16)
    return steps, np.concatenate([low, high], axis=2)[:, 0].astype(np.float32)


def _of_steps(steps: "np.ndarray", ends: "np.ndarray") -> "np.ndarray":
    """The map float32 [h, w]."""
    import numpy as np

    low, high = ends.astype(np.float64)
    with np.errstate(all="ignore"):  # what is not finite is refused later
        values: np.ndarray = low + (high - low) * (steps / _STEPS)
        return values.astype(np.float32)


def _read(archive: zipfile.ZipFile) -> dict[int, Explanation]:
    import numpy as np

    arrays = {name: read_array(archive, name, dtype, _MAX_BYTES) for name, dtype in _DTYPES.items()}
    text = json.loads(arrays["text"].tobytes())
    count = len(arrays["index"])
    _check_counts(arrays, text, count)
    heats, ranges, true_boxes = (
        dict(zip(np.flatnonzero(arrays[mark]).tolist(), arrays[name], strict=True))
        for mark, name in (("has_heat", "heat"), ("has_heat", "heat_range"), ("has_true_box", "true_box"))
    )
    ends = np.cumsum(arrays["num_boxes"])
    found = {}
    for row, end in enumerate(ends.tolist()):
        boxes = slice(end - int(arrays["num_boxes"][row]), end)
        one = Explanation(
            title=text["titles"][row],
            heat=_of_steps(heats[row], ranges[row]) if row in heats else None,
            boxes=arrays["boxes"][boxes].copy(),
            box_labels=text["box_labels"][row],
            box_scores=arrays["box_scores"][boxes].tolist(),
            true_box=true_boxes[row].copy() if row in true_boxes else None,
            width=int(arrays["size"][row, 1]),
            height=int(arrays["size"][row, 0]),
        )
        one.check()
        found[int(arrays["index"][row])] = one
    return found


# As `write_explanations` makes them.
_DTYPES = {
    "index": "int64",
    "size": "int64",
    "has_heat": "bool",
    "heat": "uint16",
    "heat_range": "float32",
    "num_boxes": "int64",
    "boxes": "float32",
    "box_scores": "float32",
    "has_true_box": "bool",
    "true_box": "float32",
    "text": "uint8",
}


def _check_counts(arrays: "dict[str, np.ndarray]", text: Any, count: int) -> None:
    """Whether the arrays fit together, and the text with them."""
    num_boxes, heat = arrays["num_boxes"], arrays["heat"]
    shapes = {
        "index": (count,),
        "size": (count, 2),
        "has_heat": (count,),
        "num_boxes": (count,),
        "has_true_box": (count,),
        "heat": (int(arrays["has_heat"].sum()), *heat.shape[1:3]),
        "heat_range": (int(arrays["has_heat"].sum()), 2),
        "boxes": (int(num_boxes.sum()), 4),
        "box_scores": (int(num_boxes.sum()),),
        "true_box": (int(arrays["has_true_box"].sum()), 4),
    }
    if any(arrays[name].shape != shape for name, shape in shapes.items()) or count > _MOST_IMAGES:
        raise ValueError("arrays that do not fit together")
    if arrays["index"].min(initial=0) < 0 or len(set(arrays["index"].tolist())) != count:
        raise ValueError("positions of images that cannot be")
    if not all(isinstance(one, list) for one in (text["titles"], text["box_labels"], *text["box_labels"])):
        raise ValueError("texts that are no lists")
