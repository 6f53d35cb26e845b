"""Parts of the detector against torchvision's: RoIAlign, suppression, targets, all four losses, detections."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torchvision.ops
from shipped import NAMES
from torch import Tensor, nn
from torchvision.models.detection import _utils as stock_utils
from torchvision.models.detection.faster_rcnn import FasterRCNN as StockFasterRCNN
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.image_list import ImageList

from bakeoff.data.batches import Batch
from bakeoff.models import faster_rcnn
from bakeoff.models.base import TaskSpec
from bakeoff.models.detection import boxes as box_ops
from bakeoff.models.detection.roi_align import roi_align
from bakeoff.models.detection.targets import gather_sampled, label_anchors, label_proposals, sample
from bakeoff.models.faster_rcnn import Config, FasterRcnn, build

TASK = TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,), has_ink=True)
BATCHES = 120
SEEDS = range(BATCHES)
SIDE = 28.0
RAND = torch.rand  # one test replaces it


def awkward_boxes(generator: torch.Generator, images: int, count: int) -> Tensor:
    """Random boxes; among them empty, tiny, of one size (ties), at the border, and across it."""
    corners = torch.rand((images, count, 2, 2), generator=generator) * SIDE
    boxes = torch.cat((corners.amin(dim=2), corners.amax(dim=2)), dim=2)
    kind = torch.randint(0, 8, (images, count, 1), generator=generator)
    low, high = boxes[..., :2], boxes[..., 2:]
    boxes = torch.where(kind == 0, torch.cat((low, low), dim=2), boxes)  # empty
    boxes = torch.where(kind == 1, torch.cat((low, low + 0.3), dim=2), boxes)  # tiny
    boxes = torch.where(kind == 2, torch.tensor([4.0, 8.0, 12.0, 16.0]), boxes)  # tied
    boxes = torch.where(kind == 3, torch.tensor([0.0, 0.0, SIDE, SIDE]), boxes)  # the whole image
    return torch.where(kind == 4, torch.cat((low - 9, high + 9), dim=2), boxes)  # across the border


@pytest.mark.parametrize("seed", SEEDS)
def test_roi_align_is_torchvisions_forward_and_backward(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    height, width = (7, 7) if seed % 2 else (5, 9)
    features = torch.randn((3, 4, height, width), generator=generator).requires_grad_()
    boxes = awkward_boxes(generator, 3, 12)
    scale = height / SIDE
    size, ratio = (5, 2) if seed % 3 else (3, 1)
    ours = roi_align(features, boxes, size, scale, ratio)
    upstream = torch.randn(ours.shape, generator=generator)
    (gradient,) = torch.autograd.grad(ours, features, upstream)
    stock = torchvision.ops.roi_align(features, list(boxes), size, scale, ratio, aligned=False)
    (stock_gradient,) = torch.autograd.grad(stock, features, upstream.flatten(0, 1))
    torch.testing.assert_close(ours.flatten(0, 1), stock, rtol=0, atol=1e-4)
    torch.testing.assert_close(gradient, stock_gradient, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_suppression_keeps_what_torchvision_keeps(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    boxes = awkward_boxes(generator, 4, 30)
    valid = torch.rand((4, 30), generator=generator) > 0.2
    kept = box_ops.suppressed(boxes, valid, 0.5)
    scores = torch.arange(30, 0, -1).float()
    for image in range(4):
        places = valid[image].nonzero()[:, 0]
        stock = places[torchvision.ops.nms(boxes[image, places], scores[places], 0.5)]
        assert kept[image].nonzero()[:, 0].tolist() == sorted(stock.tolist())


@pytest.mark.parametrize("seed", SEEDS)
def test_overlaps_offsets_and_boxes_are_torchvisions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = awkward_boxes(generator, 2, 9), awkward_boxes(generator, 2, 7)
    ours = box_ops.overlaps(first, second)
    for image in range(2):
        stock = torchvision.ops.box_iou(first[image], second[image]).nan_to_num()  # two empty ones
        torch.testing.assert_close(ours[image], stock, rtol=0, atol=1e-6)
    # A box more than 62.5 times as large as its reference does not come back: offsets are cut there.
    references = first[box_ops.is_at_least(first, 1.0)]
    boxes = second[box_ops.is_at_least(second, 0.1)]
    count = min(len(references), len(boxes))
    references, boxes = references[:count], boxes[:count]
    for weights in ((1.0, 1.0), (10.0, 5.0)):
        coder = stock_utils.BoxCoder((weights[0], weights[0], weights[1], weights[1]))
        offsets = box_ops.encode(boxes, references, weights)
        torch.testing.assert_close(offsets, coder.encode_single(boxes, references), rtol=1e-5, atol=1e-4)
        wild = torch.randn((count, 4), generator=generator) * 20
        torch.testing.assert_close(
            box_ops.decode(wild, references, weights),
            coder.decode_single(wild, references),
            rtol=1e-4,
            atol=1e-4,
        )
        back = box_ops.decode(offsets, references, weights)
        torch.testing.assert_close(back, boxes, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        box_ops.clip(first, 20, 10), torchvision.ops.clip_boxes_to_image(first, (20, 10)), rtol=0, atol=0
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_are_torchvisions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    boxes, truth = awkward_boxes(generator, 5, 20), awkward_boxes(generator, 5, 1)
    overlap = box_ops.overlaps(boxes, truth)[..., 0]
    for high, low, best in ((0.7, 0.3, True), (0.5, 0.5, False)):
        matcher = stock_utils.Matcher(high, low, allow_low_quality_matches=best)
        for image in range(5):
            matched = matcher(overlap[image][None])
            if best:
                expected = torch.where(matched >= 0, 1, torch.where(matched == -1, 0, -1))
                assert torch.equal(label_anchors(overlap, high, low)[image], expected)
            else:
                labels = torch.full((5,), 6)
                ours = label_proposals(overlap, labels, high, torch.ones_like(overlap, dtype=torch.bool))[
                    image
                ]
                assert torch.equal(ours, torch.where(matched >= 0, 7, 0))


def test_sampling_takes_what_it_may_and_no_more() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(-1, 3, (200, 30), generator=generator)
    labels[0], labels[1], labels[2] = 1, 0, -1
    drawn = torch.rand((200, 30), generator=generator)
    chosen = sample(labels, 8, 0.25, drawn)
    positive, negative = labels > 0, labels == 0
    number_positive = (chosen & positive).sum(dim=1)
    assert torch.equal(number_positive, positive.sum(dim=1).clamp(max=2))
    assert torch.equal(
        (chosen & negative).sum(dim=1), torch.minimum(negative.sum(dim=1), 8 - number_positive)
    )
    assert not (chosen & (labels < 0)).any()
    places, taken = gather_sampled(chosen, 8)
    for row in range(200):
        assert places[row, taken[row]].tolist() == chosen[row].nonzero()[:, 0].tolist()


def test_sampling_is_uniform() -> None:
    labels = torch.zeros((20_000, 10), dtype=torch.int64)
    drawn = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1))
    share = sample(labels, 3, 0.5, drawn).float().mean(dim=0)
    # 20,000 draws: a standard deviation of 0.0032.
    assert ((share - 0.3).abs() < 0.015).all()


def test_ink_boxes_by_hand() -> None:
    images = torch.zeros((4, 1, 6, 8), dtype=torch.uint8)
    images[0, 0, 2, 3] = 255  # one pixel
    images[1, 0, 1:5, 2:7] = 26
    images[2, 0, 0, 0] = images[2, 0, 5, 7] = 200  # corners
    images[3] = 25  # too faint: blank
    expected = [[3, 2, 4, 3], [2, 1, 7, 5], [0, 0, 8, 6], [0, 0, 8, 6]]
    assert box_ops.ink_boxes(images).tolist() == expected
    assert box_ops.image_boxes(images).tolist() == [[0, 0, 8, 6]] * 4
    colour = torch.zeros((1, 3, 6, 8), dtype=torch.uint8)
    colour[0, 2, 4, 1] = 90
    assert box_ops.ink_boxes(colour).tolist() == [[1, 4, 2, 5]]


# The whole detector against torchvision's, with the same weights and the same samples.


class OneMap(nn.Module):
    """Our backbone as torchvision wants one."""

    def __init__(self, backbone: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.backbone, self.out_channels = backbone, out_channels

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images)  # type: ignore[no-any-return]


def stock_of(model: FasterRcnn) -> StockFasterRCNN:
    """torchvision's detector with our modules inside."""
    config = model.config
    sizes = config.anchor_sizes or [0.4 * SIDE, 0.7 * SIDE]
    stock = StockFasterRCNN(
        OneMap(model.backbone, config.channels[-1]),
        rpn_anchor_generator=faster_rcnn.AnchorGenerator((tuple(sizes),), (tuple(config.anchor_ratios),)),
        rpn_head=model.rpn,
        rpn_pre_nms_top_n_train=config.proposals_before_nms,
        rpn_pre_nms_top_n_test=config.proposals_before_nms,
        rpn_post_nms_top_n_train=config.proposals,
        rpn_post_nms_top_n_test=config.proposals,
        rpn_nms_thresh=config.proposal_nms,
        rpn_fg_iou_thresh=config.anchor_foreground,
        rpn_bg_iou_thresh=config.anchor_background,
        rpn_batch_size_per_image=config.anchors_sampled,
        rpn_positive_fraction=config.anchors_positive,
        box_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], config.pooled_size, config.sampling_ratio),
        box_head=model.head,
        box_predictor=model.predictor,
        box_fg_iou_thresh=config.head_foreground,
        box_bg_iou_thresh=config.head_foreground,
        box_batch_size_per_image=config.rois_sampled,
        box_positive_fraction=config.rois_positive,
        box_score_thresh=config.score_threshold,
    )
    assert isinstance(stock, StockFasterRCNN)
    return stock


class GivenSamples:
    """Stands in for torchvision's sampler and for `torch.rand`: both draw by the same numbers."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.drawn: list[Tensor] = []
        self.asked = 0

    def rand(self, shape: Any, device: Any) -> Tensor:
        del device
        self.drawn.append(RAND(shape, generator=self.generator))
        return self.drawn[-1]


class StockSampler:
    """Torchvision's interface: masks of positive and negative samples, a list entry for each image."""

    def __init__(self, count: int, fraction: float, drawn: list[Tensor], valid: list[Tensor] | None) -> None:
        self.count, self.fraction, self.drawn, self.valid = count, fraction, drawn, valid

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        positive, negative = [], []
        for image, one in enumerate(labels):
            drawn = self.drawn[0][image] if self.valid is None else self.drawn[1][image][self.valid[image]]
            assert len(drawn) == len(one)
            chosen = sample(one[None].long(), self.count, self.fraction, drawn[None])[0]
            positive.append((chosen & (one > 0)).to(torch.uint8))
            negative.append((chosen & (one == 0)).to(torch.uint8))
        return positive, negative


def random_detector(seed: int) -> FasterRcnn:
    """Weights far from their start, so that proposals move, leave the image and become empty."""
    torch.manual_seed(seed)
    model = build(Config(channels=[4, 8, 8]), TASK)
    with torch.no_grad():
        for module, factor in ((model.rpn, 40.0), (model.predictor, 30.0)):
            for parameter in module.parameters():
                parameter.mul_(factor).add_(torch.randn_like(parameter) * 0.05)
    return model


def without_kinks(head: TwoMLPHead) -> nn.Module:
    """The head with smooth activations, for both detectors.

    Their pooled features differ by rounding. Among 16,000 units there is one near 0 now and then, which
    one ReLU lets pass and the other does not: the losses agree, and the gradients are those of two sides
    of a kink. Which seed it hits depends on the processor's kernels.
    """
    return nn.Sequential(nn.Flatten(), head.fc6, nn.GELU(), head.fc7, nn.GELU())


@pytest.fixture(scope="module")
def _few_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_few_threads")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_four_losses_and_their_gradients_are_torchvisions(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_detector(seed).train()
    model.head = without_kinks(model.head)  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(1000 + seed)
    images = torch.randint(0, 256, (4, 1, 28, 28), generator=generator, dtype=torch.uint8)
    truth = box_ops.clip(awkward_boxes(generator, 4, 1)[:, 0], 28, 28)
    # torchvision refuses empty true boxes; ours come from ink and cannot be.
    truth = torch.where(box_ops.is_at_least(truth, 0.2)[:, None], truth, torch.tensor([3.0, 4.0, 4.0, 20.0]))
    labels = torch.randint(0, 10, (4,), generator=generator)
    monkeypatch.setattr(model, "true_boxes", lambda _: truth)
    given = GivenSamples(seed)
    monkeypatch.setattr(faster_rcnn.torch, "rand", given.rand)
    proposals: list[Any] = []
    with_truth = model._with_truth
    monkeypatch.setattr(model, "_with_truth", lambda *a: proposals.append(with_truth(*a)) or proposals[-1])
    ours = model.losses(Batch(images, labels, torch.arange(4)))
    monkeypatch.undo()
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(torch.stack(list(ours.values())).sum(), parameters)

    stock, config = stock_of(model).train(), model.config
    valid = list(proposals[0].valid)
    stock.rpn.fg_bg_sampler = StockSampler(config.anchors_sampled, config.anchors_positive, given.drawn, None)
    stock.roi_heads.fg_bg_sampler = StockSampler(
        config.rois_sampled, config.rois_positive, given.drawn, valid
    )
    targets = [
        {"boxes": box[None], "labels": label[None] + 1} for box, label in zip(truth, labels, strict=True)
    ]
    pixels = (images - model.mean) / model.std
    sizes = [(28, 28)] * 4
    features = {"0": model.backbone(pixels)}
    boxes, rpn_losses = stock.rpn(ImageList(pixels, sizes), features, targets)
    for image in range(4):
        torch.testing.assert_close(
            proposals[0].boxes[image][valid[image]][:-1], boxes[image], rtol=0, atol=1e-4
        )
    _, head_losses = stock.roi_heads(features, boxes, sizes, targets)
    expected = {
        "objectness": rpn_losses["loss_objectness"],
        "rpn_box": rpn_losses["loss_rpn_box_reg"],
        "classes": head_losses["loss_classifier"],
        "box": head_losses["loss_box_reg"],
    }
    assert list(ours) == list(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(ours[name], loss, rtol=1e-4, atol=1e-4, msg=name)
    stock_gradients = torch.autograd.grad(torch.stack(list(expected.values())).sum(), parameters)
    for mine, theirs in zip(gradients, stock_gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("_few_threads")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_box_is_torchvisions_top_detection(seed: int) -> None:
    """Box, score and label after decoding and suppression; the row's argmax is that label."""
    model = random_detector(seed).eval()
    stock = stock_of(model).eval()
    generator = torch.Generator().manual_seed(2000 + seed)
    images = torch.randint(0, 256, (6, 1, 28, 28), generator=generator, dtype=torch.uint8)
    pixels = (images - model.mean) / model.std
    sizes = [(28, 28)] * 6
    with torch.no_grad():
        ours = model.detect(images)
        features = {"0": model.backbone(pixels)}
        boxes, _ = stock.rpn(ImageList(pixels, sizes), features)
        detections, _ = stock.roi_heads(features, boxes, sizes)
    assert torch.equal(ours.rows, model.probabilities(images))
    for image, theirs in enumerate(detections):
        assert bool(ours.found[image]) == bool(len(theirs["scores"]))
        if not len(theirs["scores"]):
            assert ours.rows[image].sum() == 0
            continue
        assert int(ours.rows[image].argmax()) + 1 == int(theirs["labels"][0])
        torch.testing.assert_close(ours.rows[image].max(), theirs["scores"][0], rtol=0, atol=1e-4)
        torch.testing.assert_close(ours.boxes[image], theirs["boxes"][0], rtol=0, atol=1e-3)
