"""Which anchors and proposals are right, which are wrong, and which of them are taught from.

One object for each image. Labels are 0 for background, above 0 for an object, -1 for neither, as in
torchvision.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


def label_anchors(
    overlap: Float[Tensor, "b n"], foreground: float, background: float
) -> Int64[Tensor, "b n"]:
    """1 for anchors that overlap the object well, and for the best ones however badly they do.

    Args:
        overlap: of each anchor with the image's object.
        foreground: overlap from which an anchor is right.
        background: overlap below which it is wrong; -1 between the two.
    """
    best = overlap.amax(dim=1, keepdim=True)
    labels = torch.where(overlap < background, 0, -1)
    return torch.where((overlap >= foreground) | (overlap == best), 1, labels)


def label_proposals(
    overlap: Float[Tensor, "b n"], labels: Int64[Tensor, "b"], foreground: float, valid: Bool[Tensor, "b n"]
) -> Int64[Tensor, "b n"]:
    """The object's class plus 1 where a proposal overlaps it, 0 where not, -1 where there is no proposal."""
    found = torch.where(overlap >= foreground, labels.unsqueeze(1) + 1, 0)
    return torch.where(valid, found, -1)


def sample(
    labels: Int64[Tensor, "b n"], count: int, positive_fraction: float, drawn: Float[Tensor, "b n"]
) -> Bool[Tensor, "b n"]:
    """Draws up to `count` of each image: up to that fraction of positive ones, negative ones for the rest.

    Args:
        labels: above 0: positive; 0: negative; below: never drawn.
        count: for each image.
        positive_fraction: at most that share of `count`.
        drawn: random numbers in 0..1; the largest are taken.
    """
    positive, negative = labels > 0, labels == 0
    most = min(int(count * positive_fraction), labels.shape[1])
    number = positive.sum(dim=1, keepdim=True).clamp(max=most)
    chosen = _largest(drawn, positive, number)
    return chosen | _largest(drawn, negative, count - number)


def _largest(
    drawn: Float[Tensor, "b n"], allowed: Bool[Tensor, "b n"], number: Int64[Tensor, "b 1"]
) -> Bool[Tensor, "b n"]:
    """The `number` largest allowed values of each row; all of them where there are fewer."""
    values = torch.where(allowed, drawn, -1.0)
    ordered = values.sort(dim=1, descending=True).values
    last = (number - 1).clamp(0, drawn.shape[1] - 1)
    return allowed & (values >= ordered.gather(1, last)) & (number > 0)


def gather_sampled(
    chosen: Bool[Tensor, "b n"], count: int
) -> tuple[Int64[Tensor, "b k"], Bool[Tensor, "b k"]]:
    """Positions of the chosen ones, in order, in `count` places, and which places are taken."""
    order = (~chosen).to(torch.uint8).sort(dim=1, stable=True).indices[:, :count]
    return order, chosen.gather(1, order)
