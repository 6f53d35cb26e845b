"""Weights in the forms that training programs save: all give the tensors of the plain form, and one line."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import found_weights
import pytest
import torch
import torchvision.models
from first_weights import TASK
from found_weights import NEW, assert_like, loaded, prefixed, saved, scratch, state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from bakeoff.errors import DataError
from bakeoff.models import torchvision_detector
from bakeoff.models.parts.torchvision_networks import architectures
from bakeoff.models.weights.readings import WRAPPING

LIGHTNING = "4 skipped: pytorch-lightning_version, hyper_parameters, optimizer_states and 1 more"
FAMILIES = (  # one network of each: larger ones repeat the same layers
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "maxvit_t", "mobilenet_v2", "mobilenet_v3_small",
    "regnet_x_400mf", "resnet18", "shufflenet_v2_x0_5", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32",
)  # fmt: skip
EXTRAS = {"epoch": 12, "best_acc1": torch.tensor(71.2)}


# pytest finds a fixture by its name here.
plain = found_weights.plain


@pytest.mark.parametrize(
    ("prefix", "note"),
    [
        ("module.", "'module.' taken off, " + NEW),
        ("_orig_mod.", "'_orig_mod.' taken off, " + NEW),
        ("_orig_mod.module.", "'_orig_mod.module.' taken off, " + NEW),
        ("module._orig_mod.", "'module._orig_mod.' taken off, " + NEW),
        ("model.", "'model.' taken off, " + NEW),
        ("net.", "'net.' taken off, " + NEW),
        ("encoder.", "'encoder.' taken off, " + NEW),
        ("model.module.backbone._orig_mod.", "'model.module.backbone._orig_mod.' taken off, " + NEW),
        ("my own.", "'my own.' taken off, " + NEW),
    ],
)
def test_prefixes_come_off(prefix: str, note: str, tmp_path: Path, plain: dict[str, Tensor]) -> None:
    assert assert_like(saved(tmp_path, prefixed(prefix, plain)), plain) == note


def test_a_backbone_has_no_head(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    headless = prefixed("", plain, without="fc.")
    assert assert_like(saved(tmp_path, headless), plain) == "head new"
    beside = {"projector.weight": torch.ones(3), "projector.bias": torch.ones(3)}
    content = prefixed("backbone.", headless) | beside
    assert assert_like(saved(tmp_path, content), plain) == (
        "'backbone.' taken off, head new, 2 skipped: projector.weight, projector.bias"
    )


def test_a_head_of_other_layers_is_no_misfit(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    """As after `network.fc = nn.Sequential(nn.Dropout(), nn.Linear(1024, 21))`."""
    content = prefixed("", plain, without="fc.") | prefixed("fc.1.", dict(nn.Linear(1024, 21).state_dict()))
    assert assert_like(saved(tmp_path, content), plain) == "head new (21 classes there, 10 here)"


@pytest.mark.parametrize("part", ["module", "_orig_mod"])
def test_wrapping_inside_of_names_comes_out(part: str, tmp_path: Path, plain: dict[str, Tensor]) -> None:
    """As in the ImageNet example, which wraps the features of AlexNet and VGG only."""
    content = {name.replace("stage2.", f"stage2.{part}."): tensor for name, tensor in plain.items()}
    assert assert_like(saved(tmp_path, content), plain) == f"'{part}.' inside of names taken out, {NEW}"


def test_the_prefix_with_the_right_shapes_comes_off(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    thin = {name: tensor[:1] if tensor.ndim else tensor for name, tensor in plain.items()}
    content = prefixed("a.", thin) | prefixed("b.", plain) | prefixed("c.", thin)
    note = assert_like(saved(tmp_path, content), plain)
    assert note.startswith(f"'b.' taken off, {NEW}, {2 * len(plain)} skipped: a.conv1.0.weight, ")
    del content["b.conv5.0.weight"]
    with pytest.raises(DataError, match=r": missing: conv5.0.weight; 279 of 280 tensors fit$"):
        loaded(saved(tmp_path, content))


def test_a_body_of_torchvisions_is_not_read_twice(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    """Its prefix is also that of our own names; both readings take the same tensors."""
    content = prefixed("backbone.body.", prefixed("", plain, without="fc."))
    assert assert_like(saved(tmp_path, content), plain) == "'backbone.body.' taken off, head new"


def test_own_weights_as_a_file_bring_their_statistics(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    own = scratch() | {"mean": torch.full((1, 3, 1, 1), 7.0), "body.conv1.1.bias": torch.full((24,), 3.0)}
    state, note = loaded(saved(tmp_path, prefixed("module.", own)))
    assert note.endswith(", 'module.' taken off, head new (10 classes there, 10 here)")
    for name, tensor in state.items():
        assert torch.equal(tensor, own[name]), name


@pytest.mark.slow
def test_no_network_has_the_names_of_what_wraps() -> None:
    for arch in FAMILIES:
        assert arch in architectures()
        names = torchvision.models.get_model(arch, weights=None).state_dict()
        assert not {part for name in names for part in name.split(".")} & set(WRAPPING)


def wrapped(form: str, plain: dict[str, Tensor]) -> dict[str, Any]:
    averaged = OrderedDict([("n_averaged", torch.tensor(5)), *prefixed("module.", plain).items()])
    other = state_dict(6)
    adam = {"state": {0: {"step": 3, "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    contents: dict[str, dict[str, Any]] = {
        "averaged": averaged,
        "bare_average": plain | {"n_averaged": torch.tensor(5)},
        "state_dict": {"state_dict": plain, **EXTRAS},
        "optimizer": {"model": plain, "optimizer": adam, "epoch": 3},
        "net": {"net": plain, "acc": 91.2},
        "module": {"module": plain, "lr_scheduler": None},
        "tutorial": {"model_state_dict": plain, "optimizer_state_dict": adam, "loss": 0.4},
        "own_name": {"my_network": prefixed("model.", plain), "notes": "mine"},
        "two_levels": {"checkpoint": {"model": plain, "epoch": 1}, "args": {"lr": 0.1}},
        "lightning": {
            "state_dict": prefixed("net.", plain) | {"criterion.weight": torch.ones(37)},
            "pytorch-lightning_version": "2.4.0",
            "hyper_parameters": {"width": 3},
            "optimizer_states": [adam],
        },
        "model_ema": {"model": other, "model_ema": averaged},
        "state_dict_ema": {"state_dict": other, "state_dict_ema": plain},
        "short_ema": {"model": plain, "model_ema": prefixed("", other, without="conv5.")},
        "moments": {"my_network": plain, "optimizer": {"squares": other}, "exp_avg": other},
        "parameters": {
            name: nn.Parameter(t, requires_grad=t.is_floating_point()) for name, t in plain.items()
        },
    }
    return contents[form]


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("averaged", f"'module.' taken off, {NEW}, 1 skipped: n_averaged"),
        ("bare_average", f"{NEW}, 1 skipped: n_averaged"),
        ("state_dict", f"from 'state_dict', {NEW}, 2 skipped: epoch, best_acc1"),
        ("optimizer", f"from 'model', {NEW}, 2 skipped: optimizer, epoch"),
        ("net", f"from 'net', {NEW}, 1 skipped: acc"),
        ("module", f"from 'module', {NEW}, 1 skipped: lr_scheduler"),
        ("tutorial", f"from 'model_state_dict', {NEW}, 2 skipped: optimizer_state_dict, loss"),
        ("own_name", f"from 'my_network', 'model.' taken off, {NEW}, 1 skipped: notes"),
        ("two_levels", f"from 'checkpoint/model', {NEW}, 2 skipped: args, epoch"),
        (
            "lightning",
            f"from 'state_dict', 'net.' taken off, {NEW}, {LIGHTNING}",
        ),
        ("model_ema", f"from 'model_ema' rather than 'model', 'module.' taken off, {NEW}, 1 skipped: n_averaged"),
        ("state_dict_ema", f"from 'state_dict_ema' rather than 'state_dict', {NEW}"),
        ("short_ema", f"from 'model', {NEW}, 1 skipped: model_ema"),
        ("moments", f"from 'my_network', {NEW}, 2 skipped: optimizer, exp_avg"),
        ("parameters", NEW),
    ],
)  # fmt: skip
def test_state_dicts_are_found_in_what_programs_save(
    form: str, note: str, tmp_path: Path, plain: dict[str, Tensor]
) -> None:
    assert assert_like(saved(tmp_path, wrapped(form, plain)), plain) == note


@pytest.mark.parametrize("name", ["net.bin", "net.ckpt", "net.pth.tar", "net", "net.v1", "net.safetensors"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path, plain: dict[str, Tensor]) -> None:
    assert assert_like(saved(tmp_path, plain, name), plain) == NEW


@pytest.mark.parametrize("name", ["net.safetensors", "net.bin", "net"])
def test_so_may_a_safetensors_file(name: str, tmp_path: Path, plain: dict[str, Tensor]) -> None:
    save_file(prefixed("model.", plain), tmp_path / name)
    assert assert_like(tmp_path / name, plain) == f"'model.' taken off, {NEW}"


def test_files_of_older_torch_load(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    torch.save({"state_dict": plain}, tmp_path / "net.pth", _use_new_zipfile_serialization=False)
    assert assert_like(tmp_path / "net.pth", plain) == f"from 'state_dict', {NEW}"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_those_values_in_float32(
    dtype: torch.dtype, tmp_path: Path, plain: dict[str, Tensor]
) -> None:
    content = {name: t.to(dtype) if t.is_floating_point() else t for name, t in plain.items()}
    rounded = {name: t.float() if t.is_floating_point() else t for name, t in content.items()}
    assert (
        assert_like(saved(tmp_path, prefixed("module.", content)), rounded) == f"'module.' taken off, {NEW}"
    )


def test_counters_that_were_averaged_are_counters(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    counted = {n: t + 7 if n.endswith("num_batches_tracked") else t for n, t in plain.items()}
    content = {n: t.float() - 0.2 if n.endswith("num_batches_tracked") else t for n, t in counted.items()}
    assert assert_like(saved(tmp_path, content), counted) == NEW


@pytest.mark.slow
def test_a_detectors_weights_load_from_a_checkpoint(tmp_path: Path) -> None:
    """From a file with counters and 90 classes, wrapped and prefixed."""
    torch.manual_seed(7)
    stock = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    tensors = dict(stock.state_dict())
    forms = {"plain": tensors, "found": {"model": prefixed("module.", tensors), "epoch": 3}}
    states = {}
    for name, content in forms.items():
        torch.manual_seed(9)
        config = torchvision_detector.Config(image_size=64, weights=str(saved(tmp_path, content, name)))
        model = torchvision_detector.build(config, TASK)
        states[name] = model.state_dict()
    assert model.notes[1].endswith(
        "from 'model', 'module.' taken off, head new (90 classes there, 10 here), 1 skipped: epoch"
    )
    assert all(torch.equal(tensor, states["plain"][name]) for name, tensor in states["found"].items())
    assert torch.equal(
        states["found"]["network.backbone.body.conv1.weight"], tensors["backbone.body.conv1.weight"]
    )
