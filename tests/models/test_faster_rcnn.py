"""The detector as a classifier: answers, no answers, boxes, and what it refuses."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from conftest import Bakeoff
from shipped import NAMES, build_model
from torchvision.models.detection._utils import overwrite_eps
from toy import assert_same_bits

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.batches import Batch
from bakeoff.data.splits import TensorSplit
from bakeoff.errors import ConfigError, DataError
from bakeoff.evaluation import metrics
from bakeoff.evaluation.metrics import NO_ANSWER, answers
from bakeoff.evaluation.prediction import predict, validate
from bakeoff.machine.runtime import Runtime
from bakeoff.models import torchvision_detector
from bakeoff.models.base import TaskSpec
from bakeoff.models.detection import boxes as box_ops
from bakeoff.models.faster_rcnn import Config, FasterRcnn, build
from bakeoff.models.weights import pretrained

CPU = Runtime(torch.device("cpu"), "fp32", channels_last=False)
TASK = TaskSpec(1, 28, 28, NAMES, mean=(0.13,), std=(0.31,), has_ink=True)


def make(task: TaskSpec = TASK, seed: int = 0, **keys: Any) -> FasterRcnn:
    torch.manual_seed(seed)
    return build(Config(**keys), task)


def images_with_boxes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Black images with one bright rectangle, and where it lies."""
    generator = torch.Generator().manual_seed(3)
    images = torch.zeros((count, 1, 28, 28), dtype=torch.uint8)
    boxes = torch.zeros((count, 4))
    for index in range(count):
        x, y = torch.randint(1, 8, (2,), generator=generator).tolist()
        width, height = torch.randint(6, 19, (2,), generator=generator).tolist()
        images[index, 0, y : y + height, x : x + width] = 240
        boxes[index] = torch.tensor([x, y, x + width, y + height])
    return images, boxes


def test_an_image_without_a_box_has_no_answer_and_an_overlap_of_0() -> None:
    model = make(score_threshold=1.0).eval()
    images, _ = images_with_boxes(5)
    labels = torch.arange(5)
    predictions = predict(model, TensorSplit(images, labels), CPU)
    assert (predictions.probabilities == 0).all()
    assert (answers(predictions.probabilities) == NO_ANSWER).all()
    assert predictions.extra == {"mean_iou": 0.0, "no_detection": 1.0}
    assert all(len(overlay.boxes) == 0 for overlay in model.explain(images))


def test_rows_are_the_heads_softmax_without_the_background() -> None:
    """By hand from the head's logits: the row of the proposal that has the highest score."""
    model = make(score_threshold=0.0, proposal_nms=1.0).eval()
    images, _ = images_with_boxes(4)
    with torch.no_grad():
        features = model._features(images)
        proposals = model._proposals(*model._rpn(features))
        logits, _ = model._head(features, proposals.boxes)
        scores = logits.softmax(dim=2)
        rows = model.probabilities(images)
    assert proposals.valid.all()
    for image in range(4):
        best = scores[image, :, 1:].amax(dim=1).argmax()
        torch.testing.assert_close(rows[image], scores[image, best, 1:])
        torch.testing.assert_close(1 - rows[image].sum(), scores[image, best, 0])


def test_extra_scores_are_the_overlap_with_the_ink() -> None:
    model = make(score_threshold=0.0).eval()
    images, truth = images_with_boxes(6)
    with torch.no_grad():
        found = model.detect(images)
    expected = torch.stack(
        [
            box_ops.overlaps(a[None, None], b[None, None])[0, 0, 0]
            for a, b in zip(found.boxes, truth, strict=True)
        ]
    )
    scores = model.extra_scores(images, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(scores["mean_iou"], expected.sum())
    assert torch.equal(model.true_boxes(images), truth)


def test_boxes_are_looked_for_once_and_validation_asks_for_no_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, counts = make(), {"detect": 0, "true_boxes": 0}

    def counted(name: str) -> Any:
        method = getattr(model, name)

        def call(images: torch.Tensor) -> Any:
            counts[name] += len(images)
            return method(images)

        return call

    for name in counts:
        monkeypatch.setattr(model, name, counted(name))
    images, _ = images_with_boxes(6)
    split = TensorSplit(images, torch.zeros(6, dtype=torch.int64))
    validated = validate(model, split, CPU, 6)
    assert counts == {"detect": 6, "true_boxes": 0}
    predicted = predict(model, split, CPU, 6)
    assert counts == {"detect": 12, "true_boxes": 6}
    assert set(predicted.extra) == {"mean_iou", "no_detection"}
    assert metrics.score(predicted.label, predicted.probabilities, [""] * 10).nll == validated.nll


@pytest.mark.parametrize(
    ("boxes", "has_ink", "ink"),
    [("auto", True, True), ("auto", False, False), ("ink", False, True), ("image", True, False)],
)
def test_what_the_object_is(boxes: str, has_ink: bool, ink: bool) -> None:
    model = make(dataclasses.replace(TASK, has_ink=has_ink), boxes=boxes)
    images, truth = images_with_boxes(3)
    whole = torch.tensor([[0.0, 0.0, 28.0, 28.0]]).expand(3, 4)
    assert torch.equal(model.true_boxes(images), truth if ink else whole)
    assert model.notes == (
        f"box labels: {'drawn tightly around each object' if ink else 'the whole picture'}",
    )


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"stride": 3}, "4 convolutions on 28x28 pixels can have 1, 2, 4, 8, 16"),
        ({"stride": 8, "channels": [4, 4]}, "can have 1, 2, 4"),
        ({"anchor_background": 0.8}, "above model.anchor_foreground"),
    ],
)
def test_what_cannot_be_is_a_config_error(keys: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        make(**keys)


def test_label_smoothing_is_refused(bakeoff: Bakeoff) -> None:
    code, _, err = bakeoff("train", "model=faster_rcnn", "data=digits", "trainer.label_smoothing=0.1")
    assert code == 2
    assert "trainer.label_smoothing=0.1: faster_rcnn has no use for it" in err


@pytest.mark.parametrize("task_side", [8, 28, 64])
def test_defaults_are_made_for_the_images_size(task_side: int) -> None:
    model = make(dataclasses.replace(TASK, height=task_side, width=task_side))
    cells = round(task_side * model.scale)
    assert 7 <= cells <= 8
    assert len(model.anchors) == cells**2 * 6
    sides = (model.anchors[:, 2:] - model.anchors[:, :2]).prod(dim=1).sqrt().unique()
    assert sides.min() < 0.5 * task_side < sides.max()


def test_blank_and_full_pictures_train_and_rate() -> None:
    model = make()
    images = torch.zeros((4, 1, 28, 28), dtype=torch.uint8)
    images[2:] = 255
    losses = model.losses(Batch(images, torch.arange(4), torch.arange(4)))
    assert all(torch.isfinite(loss) for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    rows = model.eval().probabilities(images)
    assert torch.isfinite(rows).all()


def test_training_twice_gives_the_same_bits() -> None:
    images, _ = images_with_boxes(16)
    batch = Batch(images, torch.arange(16) % 10, torch.arange(16))
    states = []
    for _ in range(2):
        model = build_model("faster_rcnn", TASK, seed=4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(5):
            torch.stack(list(model.losses(batch).values())).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        states.append(model.state_dict())
    assert_same_bits(*states)


@pytest.mark.usefixtures("pictures_if_slow")
def test_a_run_has_boxes_in_its_pictures_and_scores(bakeoff: Bakeoff) -> None:
    code, out, err = bakeoff(
        "train", "model=faster_rcnn", "data=digits", "trainer.epochs=2", "trainer.threads=1", "output_dir=out"
    )
    assert code == 0, err
    assert "note: box labels: drawn tightly around each object" in out
    (summary,) = Path("out").rglob("summary.json")
    scores = json.loads(summary.read_text())["test"]
    assert set(scores["extra"]) == {"mean_iou", "no_detection"}
    assert scores["num_no_answer"] == round(scores["extra"]["no_detection"] * scores["num_images"])
    assert (summary.parent / "plots" / "explain.png").is_file()
    with np.load(summary.parent / "predictions.npz") as stored:
        assert (stored["probabilities"].sum(axis=1) <= 1 + 1e-5).all()
    assert bakeoff("evaluate", str(summary.parent))[0] == 0


def test_the_labs_detector_is_torchvisions_with_one_box_for_the_picture() -> None:
    """So the contract is tested of one of the two."""
    lab, shipped = (
        expand(parse_arguments([f"model={name}"]))[0][0].values["model"]
        for name in ("lab_faster_rcnn", "faster_rcnn_resnet50")
    )
    assert lab == shipped | {"name": "lab_faster_rcnn", "boxes": "image", "image_size": 800}


def coco_network() -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    """A state dict as COCO's file has it, with small variances, and what torchvision makes of it."""
    torch.manual_seed(7)
    stock = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    for module in stock.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(1e-6, 1e-4)  # type: ignore[union-attr,operator]
            module.weight.data.uniform_(0.001, 0.01)
    tensors = {name: t for name, t in stock.state_dict().items() if "num_batches" not in name}
    overwrite_eps(stock, 0.0)
    for module in stock.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0
    return tensors, stock.eval()


def test_cocos_weights_give_torchvisions_features_then_and_after_saving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torchvision sets the norms' epsilon to 0 for them; `evaluate` builds norms that have one."""
    tensors, stock = coco_network()
    monkeypatch.setattr(pretrained, "fetch", lambda _: dict(tensors))
    monkeypatch.setattr(pretrained, "file_sha256", lambda *_: "ab" * 32)
    torch.manual_seed(0)
    first = torchvision_detector.build(torchvision_detector.Config(image_size=64), TASK).eval()
    assert first.notes[1] == "weights: coco, head new"
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in first.modules())
    again = torchvision_detector.build(
        torchvision_detector.Config(image_size=64, weights="none"), TASK
    ).eval()
    again.load_state_dict(first.state_dict())
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = stock.backbone(pixels)  # type: ignore[operator]
        for model in (first, again):
            for name, features in model.network.backbone(pixels).items():
                scale = expected[name].std()
                torch.testing.assert_close(features / scale, expected[name] / scale, rtol=0, atol=1e-4)
    images, _ = images_with_boxes(3)
    torch.testing.assert_close(first.probabilities(images), again.probabilities(images), rtol=1e-3, atol=1e-5)


def test_a_network_that_is_filled_later_is_that_of_its_weights_and_does_not_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that goes on has the same frozen norms and stages, though its weights may be gone by then."""
    monkeypatch.setattr(pretrained, "fetch", lambda _: 1 / 0)
    later = dataclasses.replace(TASK, weights_follow=True)
    model = torchvision_detector.build(torchvision_detector.Config(image_size=64), later)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    learning = {
        name.split(".")[0] for name, p in model.network.backbone.body.named_parameters() if p.requires_grad
    }
    assert learning == {"layer2", "layer3", "layer4"}


def test_weights_of_other_networks_are_refused_by_the_standard_detector(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="a detector has coco weights"):
        torchvision_detector.build(torchvision_detector.Config(weights="imagenet"), TASK)
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(
        DataError, match=r"no weights of this detector: missing: backbone.*unknown: a; 0 of 291"
    ):
        torchvision_detector.build(torchvision_detector.Config(weights=str(tmp_path / "a.pth")), TASK)


def test_a_batch_without_any_proposal_has_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = torchvision_detector.build(
        torchvision_detector.Config(image_size=32, weights="none"), TASK
    ).eval()
    images, _ = images_with_boxes(3)
    rpn = model.network.rpn
    monkeypatch.setattr(rpn, "filter_proposals", lambda *_: ([torch.zeros(0, 4)] * 3, [torch.zeros(0)] * 3))
    assert (model.probabilities(images) == 0).all()
