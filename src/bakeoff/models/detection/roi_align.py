"""RoIAlign (He et al. 2017) of a whole batch as one matrix product.

Bilinear sampling is separable: along each axis a row of weights says how much of each cell of the map
goes into a bin. Their outer product is a matrix [bins, cells] for each box, and pooling is its product
with the map. Forward and backward are matrix products, so they are fast on a CPU and deterministic on
CUDA, where torchvision's backward adds atomically.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def roi_align(
    features: Float[Tensor, "b d h w"],
    boxes: Float[Tensor, "b n 4"],
    size: int,
    scale: float,
    sampling_ratio: int = 2,
) -> Float[Tensor, "b n d s s"]:
    """Pools each box to `size` by `size` bins, as `torchvision.ops.roi_align(aligned=False)`.

    Args:
        features: one map for each image.
        boxes: as many for each image, in pixels of the image; no gradient goes to them.
        size: bins a side.
        scale: cells of the map in a pixel of the image.
        sampling_ratio: samples of a bin along each axis.
    """
    batch, depth, height, width = features.shape
    count = boxes.shape[1]
    with torch.no_grad():
        down = _axis_weights(boxes[..., 1], boxes[..., 3], height, size, scale, sampling_ratio)
        across = _axis_weights(boxes[..., 0], boxes[..., 2], width, size, scale, sampling_ratio)
        # [b, n, s, h] and [b, n, s, w] -> [b, n s s, h w]
        weights = (down[:, :, :, None, :, None] * across[:, :, None, :, None, :]).view(
            batch, count * size * size, height * width
        )
    pooled = torch.bmm(features.flatten(2), weights.transpose(1, 2).to(features.dtype))
    return pooled.view(batch, depth, count, size, size).transpose(1, 2)


def _axis_weights(
    low: Float[Tensor, "b n"], high: Float[Tensor, "b n"], cells: int, size: int, scale: float, ratio: int
) -> Float[Tensor, "b n s cells"]:
    """Mean bilinear weight of each cell in the samples of each bin."""
    start = low * scale
    length = (high * scale - start).clamp(min=1)  # torchvision's boxes are at least one cell
    steps = (torch.arange(size * ratio, device=low.device) + 0.5) / (size * ratio)
    places = start.unsqueeze(-1) + length.unsqueeze(-1) * steps  # [b, n, s ratio]
    inside = (places >= -1) & (places <= cells)
    near = places.clamp(0, cells - 1)
    distance = (near.unsqueeze(-1) - torch.arange(cells, device=low.device)).abs()
    weights = (1 - distance).clamp(min=0) * inside.unsqueeze(-1)
    return weights.view(*low.shape, size, ratio, cells).mean(dim=3)
