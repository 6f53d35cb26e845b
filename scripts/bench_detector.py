"""Images per second of the detector against torchvision's, with the same backbone, heads and settings.

usage: .venv/bin/python scripts/bench_detector.py [--repeats 5] [--batch-size 128]

Training (loss, gradient, optimizer step) and inference, in turn in one process, fp32 and as shipped;
images are MNIST's size with a bright box of ink. Prints ratios, and the peak memory at the end.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from bakeoff.config.compose import expand, parse_arguments
from bakeoff.data.batches import Batch
from bakeoff.experiment.first_gate import check_shared
from bakeoff.machine.memory import peak_memory_bytes
from bakeoff.machine.runtime import Runtime, set_up
from bakeoff.models.base import TaskSpec, check_model
from bakeoff.models.faster_rcnn import FasterRcnn
from bakeoff.training.optim import make_optimizer

TASK = TaskSpec(1, 28, 28, tuple("0123456789"), mean=(0.13,), std=(0.31,), has_ink=True)
STEPS = 4
WARM_UP = 2


class OneMap(nn.Module):
    """Our backbone as torchvision wants one."""

    def __init__(self, backbone: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.backbone, self.out_channels = backbone, out_channels

    def forward(self, images: Tensor) -> Tensor:
        """One map, which torchvision calls "0"."""
        output: Tensor = self.backbone(images)
        return output


def stock_detector(model: FasterRcnn) -> FasterRCNN:
    """Torchvision's detector with the modules and settings of ours."""
    config, task = model.config, model.task
    sizes = config.anchor_sizes or [share * task.height for share in (0.4, 0.7)]
    stock = FasterRCNN(
        OneMap(model.backbone, config.channels[-1]),
        min_size=task.height,
        max_size=task.width,
        image_mean=list(task.mean),
        image_std=list(task.std),
        rpn_anchor_generator=AnchorGenerator((tuple(sizes),), (tuple(config.anchor_ratios),)),
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
        box_roi_pool=MultiScaleRoIAlign(["0"], config.pooled_size, config.sampling_ratio),
        box_head=model.head,
        box_predictor=model.predictor,
        box_fg_iou_thresh=config.head_foreground,
        box_bg_iou_thresh=config.head_foreground,
        box_batch_size_per_image=config.rois_sampled,
        box_positive_fraction=config.rois_positive,
        box_score_thresh=config.score_threshold,
    )
    assert isinstance(stock, FasterRCNN)
    return stock


def some_batch(count: int) -> Batch:
    """Dark noise with a bright rectangle."""
    images = torch.randint(0, 20, (count, 1, 28, 28), dtype=torch.uint8)
    for image, (y, x) in zip(images, torch.randint(2, 8, (count, 2)).tolist(), strict=True):
        image[0, y : y + 18, x : x + 12] = 250
    return Batch(images, torch.randint(0, 10, (count,)), torch.arange(count))


def images_per_second(step: Callable[[], object], count: int) -> float:
    """Of a few steps after a warm-up."""
    for _ in range(WARM_UP):
        step()
    begin = time.perf_counter()
    for _ in range(STEPS):
        step()
    return STEPS * count / (time.perf_counter() - begin)


def steps(model: FasterRcnn, batch: Batch, runtime: Runtime) -> dict[str, Callable[[], object]]:
    """What is timed: by name, a function that goes through the batch once."""
    stock = stock_detector(model)
    optimizer = make_optimizer(model.parameter_groups(), check_shared(VALUES).optim)
    pixels = list(batch.images.float() / 255)
    targets = [
        {"boxes": box[None], "labels": label[None] + 1}
        for box, label in zip(model.true_boxes(batch.images), batch.labels, strict=True)
    ]

    def learn(losses: dict[str, Tensor]) -> None:
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    def train_ours() -> None:
        model.train()
        with runtime.autocast():
            losses = model.losses(batch)
        learn(losses)

    def train_stock() -> None:
        stock.train()
        with runtime.autocast():
            losses = stock(pixels, targets)
        learn(losses)

    @torch.no_grad()
    def rate_ours() -> None:
        model.eval()
        with runtime.autocast():
            model.probabilities(batch.images)

    @torch.no_grad()
    def rate_stock() -> None:
        stock.eval()
        with runtime.autocast():
            stock(pixels)

    return {
        "train ours": train_ours,
        "train stock": train_stock,
        "rate ours": rate_ours,
        "rate stock": rate_stock,
    }


VALUES = expand(parse_arguments(["model=faster_rcnn"]))[0][0].values


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()
    config = check_shared(VALUES)
    family, model_config = check_model(VALUES)
    shipped = set_up(config.trainer, family.AUTO_PRECISION)
    batch = some_batch(options.batch_size)
    for precision in dict.fromkeys((shipped.precision, "fp32")):
        torch.manual_seed(0)
        model = family.build(model_config, TASK).to(memory_format=torch.channels_last)
        assert isinstance(model, FasterRcnn)
        runtime = Runtime(torch.device("cpu"), precision, channels_last=True)
        timed = steps(model, batch, runtime)
        rounds = [
            {name: images_per_second(step, options.batch_size) for name, step in timed.items()}
            for _ in range(options.repeats)
        ]
        print(
            f"{precision}, batch {options.batch_size}, {torch.get_num_threads()} threads, {torch.__version__}"
        )
        for what, bar in (("train", 4), ("rate", 2)):
            for figures in rounds:
                ours, stock = figures[f"{what} ours"], figures[f"{what} stock"]
                print(f"  {what:6} ours {ours:8,.0f}  torchvision {stock:8,.0f}  ratio {ours / stock:.2f}")
            ratio = statistics.median(round_[f"{what} ours"] / round_[f"{what} stock"] for round_ in rounds)
            print(f"  {what:6} median ratio {ratio:.2f} (bar: {bar})")
    print(f"peak memory {peak_memory_bytes(torch.device('cpu')) / 2**20:,.0f} MiB, torchvision's included")


if __name__ == "__main__":
    main()
