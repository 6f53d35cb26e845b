"""Random changes of training images: batched, on the device, of raw bytes."""

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.nn import functional as F


def draw_shifts(num_images: int, max_shift: int, generator: torch.Generator) -> Int64[Tensor, "n 2"]:
    """Draws (down, right) in pixels for every image, each uniform in -max_shift..max_shift."""
    return torch.randint(-max_shift, max_shift + 1, (num_images, 2), generator=generator)


def shift(
    images: UInt8[Tensor, "b c h w"], shifts: Int64[Tensor, "b 2"], max_shift: int
) -> UInt8[Tensor, "b c h w"]:
    """Moves each image by its own whole pixels (down, right); what moves in is black."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (max_shift,) * 4)
    # Every window of the padded image is a view; one gather copies the window of each image.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = (max_shift - shifts).unbind(1)
    return windows[torch.arange(batch, device=images.device), :, top, left]
