"""The story of a prediction: pictures are read, rated and answered, batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bakeoff.data.pictures import BrokenPictureError, read_picture
from bakeoff.deploy.predict.answers import Answer
from bakeoff.deploy.predict.ensemble import Ensemble, Seen
from bakeoff.deploy.predict.reading import in_batches
from bakeoff.deploy.predict.sources import Asked, Sources
from bakeoff.machine.limits import usable_cores
from bakeoff.models.base import Overlay

_ORIGINAL_PIXELS = 320  # a side, in a drawing


@dataclass(frozen=True)
class Wishes:
    """What is wanted of each answer."""

    num_top: int = 1
    as_is: bool = False
    boxes: bool = False
    drawings: Path | None = None  # a folder that is there


def answers(ensemble: Ensemble, sources: Sources, wishes: Wishes) -> Iterator[Answer]:
    """An answer for each picture, in their order, as soon as its batch is done.

    Raises:
        InterruptedRunError: a signal came.
        ResourceError: out of memory with a single picture, or a drawing cannot be written.
    """

    def read(asked: Asked) -> Seen | str:
        if asked.error is not None:
            return asked.error
        try:
            return ensemble.see(asked.source, wishes.as_is)
        except BrokenPictureError as error:
            return str(error)

    number = 0
    for batch in in_batches(sources, read, ensemble.bytes_each, usable_cores()):
        seen = [result for _, result in batch if isinstance(result, Seen)]
        rows = ensemble.probabilities(seen) if seen else np.zeros((0, len(ensemble.class_names)), np.float32)
        # Ties: the first class, as in evaluation.
        order = np.argsort(-rows, axis=1, kind="stable")[:, : wishes.num_top]
        tops = zip(order.tolist(), np.take_along_axis(rows, order, axis=1).tolist(), strict=True)
        shows = wishes.boxes or wishes.drawings is not None
        overlays = iter(ensemble.overlays(seen) if shows and seen else ())
        for asked, result in batch:
            number += 1
            if isinstance(result, str):
                yield Answer(asked.name, true=_true(asked, ensemble), error=result)
                continue
            overlay = next(overlays, None)
            answer = _answer(asked, result, next(tops), overlay, ensemble)
            if wishes.drawings is not None:
                _draw(wishes.drawings, number, answer, asked, result, overlay, ensemble)
            yield answer


def _true(asked: Asked, ensemble: Ensemble) -> str | None:
    return None if asked.true is None else ensemble.class_names[asked.true]


def _answer(
    asked: Asked,
    seen: Seen,
    top: tuple[list[int], list[float]],
    overlay: Overlay | None,
    ensemble: Ensemble,
) -> Answer:
    box = None
    if overlay is not None and len(overlay.boxes):
        box = tuple(float(edge) for edge in overlay.boxes[0].tolist())
    return Answer(
        asked.name,
        top=tuple(
            (ensemble.class_names[place], share) for place, share in zip(*top, strict=True) if share > 0
        ),
        note=seen.note,
        true=_true(asked, ensemble),
        box=box,
        has_boxes=overlay is not None and overlay.heat is None,
    )


def _draw(
    folder: Path,
    number: int,
    answer: Answer,
    asked: Asked,
    seen: Seen,
    overlay: Overlay | None,
    ensemble: Ensemble,
) -> None:
    from bakeoff.deploy.predict.drawing import draw  # matplotlib

    try:
        original = read_picture(asked.source, _ORIGINAL_PIXELS, 3, "inside", max_megapixels=_most(ensemble))
    except BrokenPictureError:  # it was whole a moment ago
        original = ensemble.shown_pixels(seen)
    names: Sequence[str] = ensemble.class_names
    if overlay is not None:
        overlay = overlay._replace(true_box=None)  # nobody knows it of a user's picture
    draw(folder, number, answer, original, ensemble.shown_pixels(seen), overlay, names)


def _most(ensemble: Ensemble) -> float:
    return max(member.config.data.max_megapixels for member in ensemble.members)
