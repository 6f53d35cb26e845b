"""The four losses of Faster R-CNN (Ren et al. 2015, equation 1), as torchvision has them."""

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional as F

_SMOOTH_L1_BETA = 1 / 9
_PASSED_OVER = -100  # a label of cross_entropy


def rpn_losses(
    objectness: Float32[Tensor, "b n"],
    offsets: Float32[Tensor, "b n 4"],
    labels: Int64[Tensor, "b n"],
    targets: Float32[Tensor, "b n 4"],
    chosen: Bool[Tensor, "b n"],
) -> dict[str, Float[Tensor, ""]]:
    """Torchvision's losses of a region proposal network, over the chosen anchors of a batch."""
    weight = chosen.float()
    number = weight.sum().clamp(min=1)
    right = labels.clamp(min=0).float()
    entropy = F.binary_cross_entropy_with_logits(objectness, right, weight, reduction="sum")
    # Only right anchors move; offsets of others may be infinite and must not be multiplied by 0.
    moves = (chosen & (labels > 0)).unsqueeze(2)
    distance = F.smooth_l1_loss(
        torch.where(moves, offsets, 0.0),
        torch.where(moves, targets, 0.0),
        beta=_SMOOTH_L1_BETA,
        reduction="sum",
    )
    return {"objectness": entropy / number, "rpn_box": distance / number}


def head_losses(
    logits: Float32[Tensor, "b k scores"],
    offsets: Float32[Tensor, "b k scores 4"],
    labels: Int64[Tensor, "b k"],
    targets: Float32[Tensor, "b k 4"],
    taken: Bool[Tensor, "b k"],
) -> dict[str, Float[Tensor, ""]]:
    """Torchvision's losses of a box head, over the taken places of a batch."""
    number = taken.sum().clamp(min=1)
    labels = torch.where(taken, labels, _PASSED_OVER)
    entropy = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=_PASSED_OVER, reduction="sum"
    )
    moves = (labels > 0).unsqueeze(2)
    own = F.one_hot(labels.clamp(min=0), logits.shape[2]).unsqueeze(3)
    of_class = (offsets * own).sum(dim=2)
    distance = F.smooth_l1_loss(
        torch.where(moves, of_class, 0.0),
        torch.where(moves, targets, 0.0),
        beta=_SMOOTH_L1_BETA,
        reduction="sum",
    )
    return {"classes": entropy / number, "box": distance / number}
