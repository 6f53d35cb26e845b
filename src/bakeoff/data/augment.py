"""Random changes of training images: batched, on the device, of raw bytes.

What is drawn for an image is a row of one table of uniform numbers, so that it is a pure function of
seed, epoch and image, whatever else is switched on or off.
"""

import math

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from bakeoff.config.schema import AugmentConfig

# Columns of the table. A new option gets a new column, and the old ones keep their numbers.
_DOWN, _RIGHT, _ROTATE, _SCALE, _FLIP, _ERASE, _AREA, _RATIO, _TOP, _LEFT = range(10)
NUM_COLUMNS = 10
# Random erasing (Zhong et al. 2017), with torchvision's range of areas; what is erased becomes black.
_ERASED_AREA = (0.02, 0.33)  # share of the image
_ERASED_RATIO = (0.3, 3.3)  # height to width


def is_active(config: AugmentConfig) -> bool:
    """Whether anything is changed at all."""
    return config != AugmentConfig()


def draw(num_images: int, generator: torch.Generator) -> Float32[Tensor, "n columns"]:
    """Draws the table of an epoch: a row of uniform numbers in 0..1 for each image."""
    return torch.rand((num_images, NUM_COLUMNS), generator=generator)


def augment(
    images: UInt8[Tensor, "b c h w"], drawn: Float32[Tensor, "b columns"], config: AugmentConfig
) -> UInt8[Tensor, "b c h w"]:
    """Applies what is switched on: shift, rotation, scale and flip in one resampling, then erasing."""
    if config.rotate_degrees or config.scale:
        images = _resample(images, drawn, config)
    else:
        if config.flip:
            mirrored = (drawn[:, _FLIP] < 0.5).view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(3), images)
        if config.shift_pixels:
            images = shift(images, shifts_in_pixels(drawn, config.shift_pixels), config.shift_pixels)
    return _erase(images, drawn, config.erase) if config.erase else images


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


def shifts_in_pixels(drawn: Float32[Tensor, "b columns"], max_shift: int) -> Int64[Tensor, "b 2"]:
    """Whole pixels (down, right), each of the 2 * max_shift + 1 values as likely."""
    return (drawn[:, [_DOWN, _RIGHT]] * (2 * max_shift + 1)).long() - max_shift


def _resample(
    images: UInt8[Tensor, "b c h w"], drawn: Float32[Tensor, "b columns"], config: AugmentConfig
) -> UInt8[Tensor, "b c h w"]:
    """Bilinear; maps each pixel of the result to where it comes from, about the centre."""
    height, width = images.shape[2:]
    angle = (2 * drawn[:, _ROTATE] - 1) * math.radians(config.rotate_degrees)
    factor = 1 + (2 * drawn[:, _SCALE] - 1) * config.scale
    mirror = torch.where(drawn[:, _FLIP] < 0.5, -1.0, 1.0) if config.flip else torch.ones_like(angle)
    down, right = shifts_in_pixels(drawn, config.shift_pixels).float().unbind(1)
    cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
    # In pixels from the centre: source = flip(rotation(result - shift)) / scale. grid_sample counts each
    # axis from -1 to 1, so that a pixel is 2 / width or 2 / height.
    to_x = torch.stack([cos, sin * (height / width), -(cos * right + sin * down) * (2 / width)], dim=1)
    to_y = torch.stack([-sin * (width / height), cos, (sin * right - cos * down) * (2 / height)], dim=1)
    theta = torch.stack([to_x * mirror.unsqueeze(1), to_y], dim=1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    sampled = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.round_().to(torch.uint8)


def _erase(
    images: UInt8[Tensor, "b c h w"], drawn: Float32[Tensor, "b columns"], probability: float
) -> UInt8[Tensor, "b c h w"]:
    """Blackens a rectangle of random area, ratio and place in a share of the images."""
    height, width = images.shape[2:]
    low, high = _ERASED_AREA
    area = (low + (high - low) * drawn[:, _AREA]) * height * width
    low, high = map(math.log, _ERASED_RATIO)
    ratio = torch.exp(low + (high - low) * drawn[:, _RATIO])
    rows = torch.sqrt(area * ratio).round().clamp(1, height)
    columns = torch.sqrt(area / ratio).round().clamp(1, width)
    top = (drawn[:, _TOP] * (height - rows + 1)).floor()
    left = (drawn[:, _LEFT] * (width - columns + 1)).floor()
    down = torch.arange(height, device=images.device)
    right = torch.arange(width, device=images.device)
    inside_rows = (down >= top.unsqueeze(1)) & (down < (top + rows).unsqueeze(1))
    inside_columns = (right >= left.unsqueeze(1)) & (right < (left + columns).unsqueeze(1))
    inside = inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)
    erased = inside & (drawn[:, _ERASE] < probability).view(-1, 1, 1)
    return images.masked_fill(erased.unsqueeze(1), 0)
