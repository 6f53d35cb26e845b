"""Networks that are built again from a stored config: their layers, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from bakeoff.config.explain import conf_dir
from bakeoff.config.meanings import header_of
from bakeoff.config.own_files import load_plain
from bakeoff.models.weights import pretrained
from bakeoff.report.lab import drawing, networks
from bakeoff.report.lab.layers import SOME, Layer, folded
from bakeoff.report.lab.networks import NotRebuiltError, rebuild

pytestmark = pytest.mark.usefixtures("report_extra")

DIGITS = [str(digit) for digit in range(10)]
MNIST = (1, 28, 28)


def shipped(name: str) -> tuple[dict[str, Any], int]:
    """The section `model` of a file, and the parameters that its header states."""
    path = conf_dir() / "model" / f"{name}.yaml"
    stated = re.match(r"[\d,]+", header_of(path).fields["cost"])
    assert stated
    return load_plain(path)["model"], int(stated[0].replace(",", ""))


OTHERS = ("lab_cnn", "lab_vit", "alexnet", "vgg16_small")


@pytest.mark.parametrize(
    "name",
    [
        *("cnn", "vit", "faster_rcnn", "alexnet_small"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS),
    ],
)
def test_a_table_adds_up_to_what_the_models_file_states(name: str) -> None:
    section, stated = shipped(name)
    before = torch.random.get_rng_state()
    network = rebuild({"model": section}, [MNIST], DIGITS, stated)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.parameters == sum(layer.count * layer.parameters for layer in network.layers) == stated
    for layer in network.layers:
        assert layer.shape, layer.name
        if layer.inner:
            assert sum(one.parameters * one.count for one in layer.inner) == layer.parameters
    last = max(place for place, layer in enumerate(network.layers) if layer.parameters)
    assert network.layers[last].shape == {"faster_rcnn": (16, 44)}.get(name, (10,))


LARGER = ("resnet50", "densenet121", "efficientnet_b0", "swin_t", "vit_b_16")


@pytest.mark.parametrize(
    "arch", ["resnet18", *(pytest.param(name, marks=pytest.mark.slow) for name in LARGER)]
)
def test_networks_of_torchvision_add_up(arch: str) -> None:
    import torchvision.models

    with torch.device("meta"):
        plain = torchvision.models.get_model(arch, weights=None, num_classes=10)
    count = sum(parameter.numel() for parameter in plain.parameters())
    section = load_plain(conf_dir() / "model" / "finetune.yaml")["model"] | {"arch": arch}
    network = rebuild({"model": section}, [(3, 64, 64)], DIGITS, count)
    assert network.parameters == count
    assert (network.image, network.fed) == ((3, 64, 64), (3, 224, 224))
    assert len(network.layers) < 60


@pytest.mark.slow  # 41 million parameters, for real: its loops over boxes need values
def test_a_detector_that_cannot_run_without_values_is_built_for_real() -> None:
    section = shipped("faster_rcnn_resnet50")[0]
    network = rebuild({"model": section}, [MNIST], DIGITS, 41_345_286)
    shapes = {layer.name: layer.shape for layer in network.layers}
    assert shapes["network.roi_heads.box_predictor.cls_score"] == (SOME, 11)
    assert shapes["network.backbone.body.conv1"] == (64, 112, 112)


def test_the_shape_that_fits_the_recorded_parameters_is_taken() -> None:
    section, stated = shipped("cnn")
    network = rebuild({"model": section}, [(3, 28, 28), MNIST], DIGITS, stated)
    assert network.image == MNIST
    with pytest.raises(NotRebuiltError, match=r"61,338 parameters, and the run recorded 61,050"):
        rebuild({"model": section}, [(3, 28, 28)], DIGITS, stated)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"family": "os"}, "no such family"),
        ({"family": "../../evil"}, "no such family"),
        ({"family": "base"}, "no such family"),
        ({"family": None}, "no such family"),
        ({"family": ["cnn"]}, "no such family"),
        ({"_target_": "os.system"}, "_target_"),
        ({"channels": [65_536] * 2_000}, "no section `model`"),
        ({"channels": "many"}, "channels"),
        ({"depth": 10**9, "family": "vit"}, "no section `model`"),
        ({"channels": [65_536] * 40}, "parameters, and the run recorded"),  # terabytes, were they made
    ],
)
def test_a_strangers_config_runs_nothing_and_makes_nothing_large(
    changes: dict[str, Any], reason: str
) -> None:
    section = shipped("cnn")[0] | changes
    with pytest.raises(NotRebuiltError, match=re.escape(reason)):
        rebuild({"model": section}, [MNIST], DIGITS, 61_050)


@pytest.mark.parametrize("config", [{}, {"model": None}, {"model": ["cnn"]}, {"model": {}}])
def test_no_section_is_a_reason(config: dict[str, Any]) -> None:
    with pytest.raises(NotRebuiltError):
        rebuild(config, [MNIST], DIGITS, 1)


def test_what_is_not_recorded_is_a_reason() -> None:
    config = {"model": shipped("cnn")[0]}
    for shapes, names, parameters in (([], DIGITS, 1), ([MNIST], [], 1), ([MNIST], DIGITS, None)):
        with pytest.raises(NotRebuiltError, match="not recorded"):
            rebuild(config, shapes, names, parameters)


@pytest.mark.parametrize("weights", ["imagenet", "/nowhere/w.pth", "/dev/zero", "coco"])
def test_first_weights_are_neither_fetched_nor_opened(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("weights were asked for")

    for name in ("fetch", "read", "file_sha256"):
        monkeypatch.setattr(pretrained, name, refuse)
    section, stated = shipped("alexnet")
    assert rebuild({"model": section | {"weights": weights}}, [MNIST], DIGITS, stated).parameters == stated


def test_a_failure_inside_of_torch_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by\nnought")

    monkeypatch.setattr(networks, "_network", fail)
    section, stated = shipped("cnn")
    with pytest.raises(NotRebuiltError, match="ZeroDivisionError: by nought"):
        rebuild({"model": section}, [MNIST], DIGITS, stated)


def layer(name: str, parameters: int = 1, shape: tuple[int, ...] = (2,)) -> Layer:
    return Layer(name, "Linear", shape, parameters)


def test_what_is_alike_is_folded() -> None:
    found = folded([layer("a"), layer("b"), layer("c", 2), layer("d", 2, (3,)), layer("e", 2, (3,))])
    assert [(one.name, one.last_name, one.count) for one in found] == [
        ("a", "b", 2),
        ("c", "", 1),
        ("d", "e", 2),
    ]


def test_a_drawing_has_every_parameter_and_the_order() -> None:
    for name in ("vit", "cnn", "faster_rcnn", "alexnet_small"):
        section, stated = shipped(name)
        boxes = drawing.stages(rebuild({"model": section}, [MNIST], DIGITS, stated), 10)
        assert (boxes[0].shape, boxes[-1].shape) == ("1 × 28 × 28", "10 classes")
        total = 0
        for box in boxes:
            for line in box.lines:
                if match := re.match(r"([\d,]+) parameters", line):
                    total += int(match[1].replace(",", "")) * box.count
        assert total == stated, name


def test_a_vits_blocks_are_one_box() -> None:
    section, stated = shipped("vit")
    boxes = drawing.stages(rebuild({"model": section}, [MNIST], DIGITS, stated), 10)
    assert [(box.title, box.count) for box in boxes][1:-1] == [
        ("Conv2d 7×7, stride 7", 1), ("Block", 4), ("LayerNorm", 1), ("Linear", 1),
    ]  # fmt: skip


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    from PIL import Image

    section, stated = shipped("vit")
    png = drawing.drawn(rebuild({"model": section}, [MNIST], DIGITS, stated), 10)
    (tmp_path / "x.png").write_bytes(png)
    with Image.open(tmp_path / "x.png") as image:
        width, height = image.size
        assert width > 1000
        assert 200 < height < width
        assert len(image.convert("RGB").getcolors(maxcolors=2**20) or ()) > 20
