"""Torchvision's Faster R-CNN with ResNet-50 and feature pyramid (Ren et al. 2015; Lin et al. 2017).

The network as it is: torchvision's transform, anchors, losses and loops over images, for those who want
the standard one. What an image's object is, and how class probabilities come from boxes, is as in the
family `faster_rcnn`. With ten classes it has 41,345,286 parameters from COCO's weights, and 41,398,406 from
scratch, where its norms learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, FasterRCNN_ResNet50_FPN_Weights
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops import FrozenBatchNorm2d

from bakeoff.config.strict import STRICT
from bakeoff.data.batches import Batch
from bakeoff.errors import ConfigError
from bakeoff.models.base import TaskSpec
from bakeoff.models.detection import boxes as box_ops
from bakeoff.models.detection.answers import Detections, best_boxes
from bakeoff.models.detection.detector import Detector
from bakeoff.models.weights import fitting, pretrained
from bakeoff.models.weights.origin import COCO, IMAGENET, NONE, weights_origin
from bakeoff.models.weights.readings import Naming, Target

# Torchvision's detectors are trained and measured in fp32.
AUTO_PRECISION = {"cpu": "fp32", "cuda": "fp32"}
# The head's loss is torchvision's plain cross-entropy.
REFUSES = ("trainer.label_smoothing",)

_ENUM = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
# Stages of ResNet-50 that learn, as torchvision has it.
_STAGES_FROM_SCRATCH, _STAGES_FROM_WEIGHTS = 5, 3
_HEAD = "roi_heads.box_predictor."
_NORM_EPSILON = 1e-5  # of BatchNorm2d and of FrozenBatchNorm2d


@dataclass
class Config:
    """Keys of `model` for the family `torchvision_detector`."""

    __pydantic_config__ = STRICT

    # True box of an image: around the drawn strokes (ink), or all of it; auto: by the data.
    boxes: Literal["auto", "ink", "image"] = "auto"
    weights: str = COCO  # first weights: coco, none, a file or a run directory
    image_size: Annotated[int, Field(ge=32, le=2048)] = (
        224  # pixels of the shorter side of the network's input
    )
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.05  # lowest class score of a found box


class TorchvisionDetector(Detector):
    """See the module's text."""

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.config: Config
        from_scratch = config.weights == NONE
        # Statistics of a few images of a detector's batch would be too noisy: torchvision freezes those
        # that come with weights.
        norm = nn.BatchNorm2d if from_scratch else FrozenBatchNorm2d
        stages = _STAGES_FROM_SCRATCH if from_scratch else _STAGES_FROM_WEIGHTS
        backbone = _resnet_fpn_extractor(resnet50(weights=None, norm_layer=norm), stages)
        self.network = FasterRCNN(
            backbone,
            num_classes=task.num_classes + 1,
            min_size=config.image_size,
            max_size=round(config.image_size * max(task.height, task.width) / min(task.height, task.width)),
        )
        if not from_scratch and not task.weights_follow:
            self._load(task)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The proposal network's and the head's two losses each."""
        truth = self.true_boxes(batch.images)
        targets = [
            {"boxes": box.unsqueeze(0), "labels": label.unsqueeze(0) + 1}
            for box, label in zip(truth, batch.labels, strict=True)
        ]
        losses: dict[str, Tensor] = self.network(self._pixels(batch.images), targets)
        names = {
            "objectness": "loss_objectness",
            "rpn_box": "loss_rpn_box_reg",
            "classes": "loss_classifier",
            "box": "loss_box_reg",
        }
        return {name: losses[theirs] for name, theirs in names.items()}

    @torch.no_grad()
    def detect(self, images: UInt8[Tensor, "b c h w"]) -> Detections:
        """The best-scoring box of each image. In evaluation mode only, as torchvision's proposals are."""
        network, task = self.network, self.task
        scaled, _ = network.transform(self._pixels(images))
        features = network.backbone(scaled.tensors)
        proposals, _ = network.rpn(scaled, features)
        heads = network.roi_heads
        logits, offsets = heads.box_predictor(
            heads.box_head(heads.box_roi_pool(features, proposals, scaled.image_sizes))
        )
        counts = [len(boxes) for boxes in proposals]
        # Torchvision forgets the last dimension where there is no proposal at all.
        boxes = heads.box_coder.decode(offsets.float(), proposals).reshape(*logits.shape, 4)
        # Back to the pixels that went in: all images of a batch have one size.
        height, width = scaled.image_sizes[0]
        boxes = box_ops.clip(boxes, height, width) * torch.tensor(
            [task.width / width, task.height / height] * 2, device=boxes.device
        )
        padded = [_padded(values.split(counts)) for values in (logits.float(), boxes)]
        number = torch.tensor(counts, device=boxes.device).unsqueeze(1)
        valid = torch.arange(padded[0].shape[1], device=boxes.device) < number
        return best_boxes(padded[0], padded[1], valid, self.config.score_threshold)

    def _pixels(self, images: UInt8[Tensor, "b c h w"]) -> list[Tensor]:
        """Three channels in 0..1; torchvision's transform normalises and resizes them."""
        return list((images.float() / 255).expand(-1, 3, -1, -1))

    def _load(self, task: TaskSpec) -> None:
        """Takes over everything but the head, or that too from a run with the same classes.

        Raises:
            ConfigError: weights that this network cannot have.
            DataError: weights that cannot be had, or do not fit.
        """
        weights = self.config.weights
        origin = weights_origin(weights)
        names = None
        if weights == IMAGENET:
            raise ConfigError(f"model.weights={IMAGENET}: a detector has {COCO} weights or a run's")
        content: dict[str, Any]
        if weights == COCO:
            # Torchvision sets the norms' epsilon to 0 for just these weights. Taken off the variance it is
            # the same, and stays so in runs that go on from here and in `evaluate`.
            content = {
                name: tensor - _NORM_EPSILON if name.endswith("running_var") else tensor
                for name, tensor in pretrained.fetch(_ENUM).items()
            }
        else:
            content, names = pretrained.read(weights)
        own = self.network.state_dict()
        kept = names == task.class_names
        naming = Naming({name: name for name in own}, _HEAD)
        target = Target("this detector", own, (naming,), _HEAD, keeps_head=kept)
        fitted = fitting.fit(weights, content, target)
        self.network.load_state_dict(fitted.tensors, strict=False)
        self.weights_sha256 = pretrained.file_sha256(weights, _ENUM)
        rows = [len(tensor) for name, tensor in fitted.head.items() if "cls_score" in name and tensor.ndim]
        there = rows[0] - 1 if rows and origin.startswith("file:") else None  # one row is the background's
        self.notes += (fitting.note(origin, fitted, kept=kept, there=there, here=task.num_classes),)


def build(config: Config, task: TaskSpec) -> TorchvisionDetector:
    """Makes a detector and loads its first weights.

    Raises:
        ConfigError, DataError: weights that it cannot have, that cannot be had, or do not fit.
    """
    return TorchvisionDetector(config, task)


def _padded(rows: Sequence[Float[Tensor, "_ *shape"]]) -> Float[Tensor, "b k *shape"]:
    """As many places for every image, and one more, so that there is one even where nothing is proposed."""
    longer = [torch.cat((one, one.new_zeros((1, *one.shape[1:])))) for one in rows]
    return nn.utils.rnn.pad_sequence(longer, batch_first=True)
