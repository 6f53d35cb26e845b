"""From scored boxes to an answer for each image: its best box, and class probabilities."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from bakeoff.models.base import Overlay
from bakeoff.models.detection import boxes as box_ops

_SMALLEST_SIDE = 1e-2  # pixels, as in torchvision


class Detections(NamedTuple):
    """The best-scoring box of each image, the one that suppression always keeps."""

    boxes: Float32[Tensor, "b 4"]  # pixels; zeros where there is none
    rows: Float32[Tensor, "b classes"]  # softmax without the background; zeros where there is none
    found: Bool[Tensor, "b"]


def best_boxes(
    logits: Float32[Tensor, "b k scores"],
    boxes: Float32[Tensor, "b k scores 4"],
    valid: Bool[Tensor, "b k"],
    threshold: float,
) -> Detections:
    """The box and class with the highest score above a threshold.

    Args:
        logits: of each proposal, the background first.
        boxes: where each class of each proposal lies, inside the image.
        valid: which proposals there are.
        threshold: lowest score of an answer.
    """
    scores = logits.softmax(dim=2)[..., 1:]
    boxes = boxes[:, :, 1:]
    allowed = valid.unsqueeze(2) & box_ops.is_at_least(boxes, _SMALLEST_SIDE) & (scores > threshold)
    best, place = torch.where(allowed, scores, 0.0).flatten(1).max(dim=1)
    found = best > 0
    rows = pick(scores, (place // scores.shape[2]).unsqueeze(1))[:, 0]
    box = pick(boxes.flatten(1, 2), place.unsqueeze(1))[:, 0]
    return Detections(box * found.unsqueeze(1), rows * found.unsqueeze(1), found)


def overlap_scores(detections: Detections, truth: Float32[Tensor, "b 4"]) -> dict[str, Float[Tensor, ""]]:
    """Sums over a batch: overlap of best and true box (0 without a box), images without a box."""
    overlap = box_ops.overlaps(detections.boxes[:, None], truth[:, None])
    return {"mean_iou": overlap.sum(), "no_detection": (~detections.found).float().sum()}


def overlays(detections: Detections, class_names: Sequence[str]) -> list[Overlay]:
    """The best box of each image with its class and score, to be drawn."""
    scores, classes = detections.rows.max(dim=1)
    drawn = []
    for box, score, label, found in zip(
        detections.boxes.cpu(), scores.tolist(), classes.tolist(), detections.found.tolist(), strict=True
    ):
        count = int(found)
        names, values = [class_names[label]] * count, [score] * count
        drawn.append(Overlay("the best box of each image", None, box.reshape(1, 4)[:count], names, values))
    return drawn


def pick(values: Float[Tensor, "b n m"], places: Tensor) -> Float[Tensor, "b k m"]:
    """Rows of each image by their positions, int64 [b, k]."""
    return values.gather(1, places.unsqueeze(2).expand(-1, -1, values.shape[2]))
