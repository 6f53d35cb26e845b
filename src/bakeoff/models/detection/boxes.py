"""Boxes of a whole batch: from ink, overlaps, offsets to and from references, suppression.

All boxes are float32 xyxy in pixels, edges of pixels: a box around one pixel (x, y) is
(x, y, x + 1, y + 1).
"""

import math

import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

_INK = 25  # brighter than a tenth of white
# torchvision.models.detection._utils.BoxCoder: a box becomes at most 62.5 times as large.
_LARGEST_LOG_SCALE = math.log(1000.0 / 16)


def ink_boxes(images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b 4"]:
    """The tight box around what is brighter than a tenth of white; of a blank picture, all of it."""
    ink = (images > _INK).any(dim=1)
    left, right = _first_and_last(ink.any(dim=1))
    top, bottom = _first_and_last(ink.any(dim=2))
    return torch.stack((left, top, right, bottom), dim=1)


def image_boxes(images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b 4"]:
    """The whole picture."""
    count, _, height, width = images.shape
    corner = torch.zeros((count, 4), device=images.device)
    corner[:, 2] = width
    corner[:, 3] = height
    return corner


def overlaps(first: Float[Tensor, "b n 4"], second: Float[Tensor, "b m 4"]) -> Float[Tensor, "b n m"]:
    """Intersection over union of all pairs within an image; 0 where both are empty."""
    # One coordinate at a time: a last dimension of 2 would be slow.
    sides = []
    for axis in (0, 1):
        low = torch.maximum(first[:, :, None, axis], second[:, None, :, axis])
        high = torch.minimum(first[:, :, None, axis + 2], second[:, None, :, axis + 2])
        sides.append((high - low).clamp(min=0))
    shared = sides[0] * sides[1]
    union = _areas(first)[:, :, None] + _areas(second)[:, None, :] - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


# torchvision's BoxCoder does the same arithmetic but copies its constants from the host in each call.
def encode(
    boxes: Float[Tensor, "*n 4"], references: Float[Tensor, "*n 4"], weights: tuple[float, float]
) -> Float[Tensor, "*n 4"]:
    """Offsets of boxes from references (Ren et al. 2015, equation 2).

    Args:
        boxes: what the offsets should lead to.
        references: anchors or proposals.
        weights: of centre and size; 1 for anchors, 10 and 5 for proposals (Girshick's code).
    """
    centre, size = _centre_and_size(boxes)
    from_centre, from_size = _centre_and_size(references)
    moved = weights[0] * (centre - from_centre) / from_size
    return torch.cat((moved, weights[1] * (size / from_size).log()), dim=-1)


def decode(
    offsets: Float[Tensor, "*n 4"], references: Float[Tensor, "*n 4"], weights: tuple[float, float]
) -> Float[Tensor, "*n 4"]:
    """Boxes that `encode` gives these offsets."""
    from_centre, from_size = _centre_and_size(references)
    centre = offsets[..., :2] / weights[0] * from_size + from_centre
    size = (offsets[..., 2:] / weights[1]).clamp(max=_LARGEST_LOG_SCALE).exp() * from_size
    return torch.cat((centre - size / 2, centre + size / 2), dim=-1)


def clip(boxes: Float[Tensor, "*n 4"], height: int, width: int) -> Float[Tensor, "*n 4"]:
    """Cuts off what lies outside of the image."""
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), dim=-1)


def is_at_least(boxes: Float[Tensor, "*n 4"], side: float) -> Bool[Tensor, "*n"]:
    """Whether both sides of a box are that long."""
    return ((boxes[..., 2:] - boxes[..., :2]) >= side).all(dim=-1)


def suppressed(
    boxes: Float[Tensor, "b n 4"], valid: Bool[Tensor, "b n"], threshold: float
) -> Bool[Tensor, "b n"]:
    """Non-maximum suppression of boxes that are sorted, best first, in all images at once.

    A loop over ranks instead of images, with no shape that depends on data.

    Args:
        boxes: sorted by falling score.
        valid: others neither stay nor suppress.
        threshold: overlap above which the worse one goes.

    Returns:
        Which boxes stay, as `torchvision.ops.nms` would keep.
    """
    above = (overlaps(boxes, boxes) > threshold).triu(diagonal=1)
    kept = valid
    for rank in range(boxes.shape[1] - 1):
        kept = kept & ~(above[:, rank] & kept[:, rank : rank + 1])
    return kept


def _first_and_last(ink: Bool[Tensor, "b n"]) -> tuple[Float32[Tensor, "b"], Float32[Tensor, "b"]]:
    """Edges of the ink along one side."""
    size = ink.shape[1]
    marks = ink.to(torch.uint8)
    first = marks.argmax(dim=1)
    last = size - marks.flip(1).argmax(dim=1)
    return first.float(), last.float()  # 0 and the whole size where there is none


def _areas(boxes: Float[Tensor, "b n 4"]) -> Float[Tensor, "b n"]:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _centre_and_size(boxes: Float[Tensor, "*n 4"]) -> tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n 2"]]:
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + size / 2, size
