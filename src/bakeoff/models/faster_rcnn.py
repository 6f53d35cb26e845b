"""Faster R-CNN as a classifier (Ren et al. 2015), with RoIAlign (He et al. 2017).

A small convolutional backbone with batch norm; a region proposal network on its map; RoIAlign of the
proposals; a head of two linear layers with class scores and box regression. Trained end to end with its
four losses on one box for each image: the tight box around the ink, or the whole picture. The parts,
anchors and losses are torchvision's, done for the whole batch at once (`bakeoff.models.detection`).

Class probabilities of an image are the head's softmax of its best-scoring box, without the background:
what is missing from 1 is the background's share. Without a box above `score_threshold` the row is zero,
"no answer". Parameters and measured accuracy: `conf/model/faster_rcnn.yaml`.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, UInt8
from pydantic import Field
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead

from bakeoff.config.strict import STRICT
from bakeoff.data.batches import Batch
from bakeoff.errors import ConfigError
from bakeoff.models.base import TaskSpec
from bakeoff.models.detection import boxes as box_ops
from bakeoff.models.detection.answers import Detections, best_boxes, pick
from bakeoff.models.detection.detector import Detector
from bakeoff.models.detection.losses import head_losses, rpn_losses
from bakeoff.models.detection.roi_align import roi_align
from bakeoff.models.detection.targets import gather_sampled, label_anchors, label_proposals, sample

AUTO_PRECISION = {"cpu": "bf16", "cuda": "bf16"}
# The head's loss is torchvision's plain cross-entropy.
REFUSES = ("trainer.label_smoothing",)

_RPN_WEIGHTS = (1.0, 1.0)  # of a box's offsets, as in torchvision
_HEAD_WEIGHTS = (10.0, 5.0)
_SMALLEST_PROPOSAL = 1e-3  # pixels
_CELLS_A_SIDE = 7  # what stride: null aims at
_ANCHOR_SHARES = (0.4, 0.7)  # of a side, what anchor_sizes: null means

Size = Annotated[int, Field(ge=1, le=65_536)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass
class Config:
    """Keys of `model` for the family `faster_rcnn`."""

    __pydantic_config__ = STRICT

    # True box of an image: around the drawn strokes (ink), or all of it; auto: by the data.
    boxes: Literal["auto", "ink", "image"] = "auto"
    # Number of channels of each convolution of the backbone.
    channels: Annotated[list[Size], Field(min_length=1)] = field(default_factory=lambda: [32, 64, 64, 64])
    # Pixels of the image per cell of the feature map; null: about 7 cells per side.
    stride: Size | None = None
    # Sizes of the anchors in pixels; null: 0.4 and 0.7 of the image's side.
    anchor_sizes: list[Annotated[float, Field(gt=0)]] | None = None
    anchor_ratios: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = field(
        default_factory=lambda: [1.0, 2.0, 4.0]  # ratios of height to width of the anchors
    )
    proposals_before_nms: Size = 64  # proposals per image before overlapping ones are removed (NMS)
    proposals: Size = 16  # proposals per image after that
    proposal_nms: Share = 0.7  # overlap above which the worse of two proposals is removed
    anchor_foreground: Share = 0.7  # an anchor is right from this overlap with the object on
    anchor_background: Share = 0.3  # an anchor is wrong below this overlap
    anchors_sampled: Size = 64  # anchors per image that the loss uses
    anchors_positive: Share = 0.5  # largest share of right anchors among these
    head_foreground: Share = 0.5  # a proposal is right from this overlap with the object on
    rois_sampled: Size = 8  # proposals per image that the loss of the head uses
    rois_positive: Share = 0.25  # largest share of right proposals among these
    pooled_size: Size = 5  # a proposal is cut into this number of bins per side
    sampling_ratio: Size = 2  # samples per bin along each axis
    hidden_size: Size = 256  # width of the two linear layers of the head
    score_threshold: Share = 0.05  # lowest class score of a box that counts as found


class _Proposals(NamedTuple):
    boxes: Float32[Tensor, "b k 4"]  # sorted, best first
    valid: Bool[Tensor, "b k"]


class FasterRcnn(Detector):
    """See the module's text."""

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.config: Config
        self.mean: Tensor
        self.std: Tensor
        self.anchors: Tensor
        shape = (1, task.channels, 1, 1)
        self.register_buffer("mean", torch.tensor(task.mean).reshape(shape) * 255)
        self.register_buffer("std", torch.tensor(task.std).reshape(shape) * 255)
        stride = config.stride or _own_stride(min(task.height, task.width))
        self.backbone, self.scale = _backbone(config.channels, stride, task), 1 / stride
        anchors, each = _anchors(config, task, stride)
        self.register_buffer("anchors", anchors, persistent=False)
        depth = config.channels[-1]
        self.rpn = RPNHead(depth, each)
        self.head = TwoMLPHead(depth * config.pooled_size**2, config.hidden_size)
        self.predictor = FastRCNNPredictor(config.hidden_size, task.num_classes + 1)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The proposal network's and the head's two losses each."""
        config = self.config
        truth = self.true_boxes(batch.images)
        features = self._features(batch.images)
        objectness, offsets = self._rpn(features)
        overlap = box_ops.overlaps(self.anchors.expand(len(truth), -1, -1), truth[:, None])[..., 0]
        labels = label_anchors(overlap, config.anchor_foreground, config.anchor_background)
        drawn = torch.rand(labels.shape, device=labels.device)
        chosen = sample(labels, config.anchors_sampled, config.anchors_positive, drawn)
        targets = box_ops.encode(
            truth[:, None].expand_as(offsets), self.anchors.expand_as(offsets), _RPN_WEIGHTS
        )
        losses = rpn_losses(objectness, offsets, labels, targets, chosen)
        proposals = self._with_truth(self._proposals(objectness.detach(), offsets.detach()), truth)
        overlap = box_ops.overlaps(proposals.boxes, truth[:, None])[..., 0]
        labels = label_proposals(overlap, batch.labels, config.head_foreground, proposals.valid)
        drawn = torch.rand(labels.shape, device=labels.device)
        chosen = sample(labels, config.rois_sampled, config.rois_positive, drawn)
        places, taken = gather_sampled(chosen, min(config.rois_sampled, labels.shape[1]))
        rois = pick(proposals.boxes, places)
        logits, offsets = self._head(features, rois)
        targets = box_ops.encode(truth[:, None].expand_as(rois), rois, _HEAD_WEIGHTS)
        return losses | head_losses(logits, offsets, labels.gather(1, places), targets, taken)

    @torch.no_grad()
    def detect(self, images: UInt8[Tensor, "b c h w"]) -> Detections:
        """The best-scoring box of each image: the one that suppression always keeps."""
        config, task = self.config, self.task
        features = self._features(images)
        proposals = self._proposals(*self._rpn(features))
        logits, offsets = self._head(features, proposals.boxes)
        references = proposals.boxes.unsqueeze(2).expand_as(offsets)
        boxes = box_ops.clip(box_ops.decode(offsets, references, _HEAD_WEIGHTS), task.height, task.width)
        return best_boxes(logits, boxes, proposals.valid, config.score_threshold)

    def _features(self, images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b d fh fw"]:
        return self.backbone((images - self.mean) / self.std)

    def _rpn(self, features: Float[Tensor, "b d fh fw"]) -> tuple[Tensor, Tensor]:
        """Objectness [b, n] and offsets [b, n, 4] in the order of the anchors."""
        (objectness,), (offsets,) = self.rpn([features])
        batch = objectness.shape[0]  # len() would fix it where the network is traced (`bakeoff export`)
        # [b, a, h, w] -> [b, h w a]; [b, 4 a, h, w] -> [b, h w a, 4]
        objectness = objectness.permute(0, 2, 3, 1).reshape(batch, -1)
        offsets = offsets.permute(0, 2, 3, 1).reshape(batch, -1, 4)
        return objectness.float(), offsets.float()

    @torch.no_grad()
    def _proposals(self, objectness: Float32[Tensor, "b n"], offsets: Float32[Tensor, "b n 4"]) -> _Proposals:
        config, task = self.config, self.task
        everything = box_ops.decode(offsets, self.anchors.expand_as(offsets), _RPN_WEIGHTS)
        count = min(config.proposals_before_nms, objectness.shape[1])
        # Stable, so that ties have one order on every device.
        order = objectness.sort(dim=1, descending=True, stable=True).indices[:, :count]
        boxes = box_ops.clip(pick(everything, order), task.height, task.width)
        valid = box_ops.is_at_least(boxes, _SMALLEST_PROPOSAL)
        kept = box_ops.suppressed(boxes, valid, config.proposal_nms)
        places, taken = gather_sampled(kept, min(config.proposals, count))
        return _Proposals(pick(boxes, places), taken)

    def _with_truth(self, proposals: _Proposals, truth: Float32[Tensor, "b 4"]) -> _Proposals:
        """The true box counts as a proposal too, so that there is something right from the first step."""
        boxes = torch.cat((proposals.boxes, truth[:, None]), dim=1)
        valid = torch.cat((proposals.valid, torch.ones_like(proposals.valid[:, :1])), dim=1)
        return _Proposals(boxes, valid)

    def _head(
        self, features: Float[Tensor, "b d fh fw"], rois: Float32[Tensor, "b k 4"]
    ) -> tuple[Float32[Tensor, "b k scores"], Float32[Tensor, "b k scores 4"]]:
        """Class logits, the background first, and offsets for each class."""
        config = self.config
        pooled = roi_align(features, rois, config.pooled_size, self.scale, config.sampling_ratio)
        logits, offsets = self.predictor(self.head(pooled.flatten(0, 1)))
        batch, count = rois.shape[:2]
        return logits.float().view(batch, count, -1), offsets.float().view(batch, count, -1, 4)


def build(config: Config, task: TaskSpec) -> FasterRcnn:
    """Makes an untrained detector.

    Raises:
        ConfigError: a stride that leaves nothing of the image, or thresholds that cross.
    """
    if config.anchor_background > config.anchor_foreground:
        raise ConfigError(
            f"model.anchor_background={config.anchor_background}: above model.anchor_foreground="
            f"{config.anchor_foreground}; lower it"
        )
    return FasterRcnn(config, task)


def _own_stride(side: int) -> int:
    """The power of two that leaves about 7 cells a side: 4 for 28 pixels, 1 for 8."""
    return 2 ** max(0, round(math.log2(side / _CELLS_A_SIDE)))


def _backbone(channels: list[int], stride: int, task: TaskSpec) -> nn.Sequential:
    """Convolutions with batch norm. The first one strides, the next ones pool, until the stride is reached.

    A first convolution at full size would cost more than all the rest.
    """
    halvings = round(math.log2(stride))
    if 2**halvings != stride or halvings > len(channels) or stride > min(task.height, task.width):
        usable = [2**n for n in range(len(channels) + 1) if 2**n <= min(task.height, task.width)]
        raise ConfigError(
            f"model.stride={stride}: {len(channels)} convolutions on {task.height}x{task.width} pixels can "
            f"have {', '.join(map(str, usable))}"
        )
    first, *rest = channels
    kernel, step = (5, 2) if halvings else (3, 1)
    layers: list[nn.Module] = [
        nn.Conv2d(task.channels, first, kernel, step, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
    ]
    before = first
    for number, after in enumerate(rest, start=1):
        layers.append(nn.Conv2d(before, after, 3, padding=1, bias=False))
        if number < halvings:
            layers.append(nn.MaxPool2d(2))  # the maximum first: norm and activation then cost a quarter
        layers += [nn.BatchNorm2d(after), nn.ReLU()]
        before = after
    return nn.Sequential(*layers)


def _anchors(config: Config, task: TaskSpec, stride: int) -> tuple[Float32[Tensor, "n 4"], int]:
    """Torchvision's anchors of the whole map, and how many there are in each cell."""
    side = min(task.height, task.width)
    sizes = config.anchor_sizes or [share * side for share in _ANCHOR_SHARES]
    generator = AnchorGenerator((tuple(sizes),), (tuple(config.anchor_ratios),))
    image = ImageList(torch.zeros(1, 1, task.height, task.width), [(task.height, task.width)])
    cells = torch.zeros(1, 1, *(_cells(length, stride) for length in (task.height, task.width)))
    (anchors,) = generator(image, [cells])
    return anchors, len(sizes) * len(config.anchor_ratios)


def _cells(length: int, stride: int) -> int:
    """Cells of the map along a side: the first convolution rounds up, poolings round down."""
    return length if stride == 1 else -(-length // 2) // (stride // 2)
