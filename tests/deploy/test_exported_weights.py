"""`--format state_dict`: torchvision's own names, in files that a plain network of torchvision loads."""

import json
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file
from shipped import TASKS
from test_exported_families import trained

from bakeoff.deploy.export import state_dict, write
from bakeoff.errors import RunsDifferError


@pytest.mark.parametrize(
    "arch", ["shufflenet_v2_x0_5", pytest.param("mobilenet_v3_small", marks=pytest.mark.slow)]
)
def test_a_plain_network_of_torchvision_gives_the_same_logits(tmp_path: Path, arch: str) -> None:
    overrides = (f"model.arch={arch}", "model.image_size=32")
    of_run = trained("finetune", TASKS[0], overrides)
    path = tmp_path / "weights.safetensors"
    images = torch.randint(0, 256, (6, 1, 28, 28), generator=torch.Generator().manual_seed(1)).byte()
    written = write.export(of_run, "state_dict", path, images)
    assert written.agreement is not None
    assert written.outputs == ()
    plain = torchvision.models.get_model(arch, weights=None, num_classes=10).eval()
    plain.load_state_dict(load_file(path), strict=True)
    # What the file says of preprocessing is enough to do it by hand.
    with safe_open(path, "pt") as file:
        texts = file.metadata()
    assert (texts["bakeoff.arch"], texts["bakeoff.image_size"]) == (arch, "32")
    mean, std = (
        torch.tensor(json.loads(texts[f"bakeoff.{key}"])).view(1, 3, 1, 1) for key in ("mean", "std")
    )
    resized = torch.nn.functional.interpolate(images.float(), (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        logits = plain((resized.expand(-1, 3, -1, -1) - mean) / std)
        own = of_run.model(of_run.model.normalise(images))
    scale = own.abs().max()  # an untrained network's logits may be tiny
    torch.testing.assert_close(logits / scale, own / scale, rtol=1e-3, atol=1e-4)
    assert (logits / scale).std() > 1e-2


def test_weights_that_are_others_are_named() -> None:
    of_run = trained("cnn", TASKS[0])
    images = torch.zeros((1, 1, 28, 28), dtype=torch.uint8)
    stored = state_dict.named_tensors(of_run.model)
    assert state_dict.check(of_run, stored, images) is None
    name = next(iter(stored))
    for other in (stored | {name: stored[name] + 1}, {}, stored | {"more": stored[name]}):
        with pytest.raises(RunsDifferError, match="the file's weights are not those of the run"):
            state_dict.check(of_run, other, images)


@pytest.mark.slow
def test_torchvisions_detector_loads_its_weights(tmp_path: Path) -> None:
    of_run = trained("faster_rcnn_resnet50", TASKS[0])
    write.export(of_run, "state_dict", tmp_path / "weights.safetensors", torch.zeros((1, 1, 28, 28)).byte())
    plain = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=11
    )
    plain.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
