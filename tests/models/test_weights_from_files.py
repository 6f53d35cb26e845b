"""Weights to begin with from files: what is taken over, what is refused."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import first_weights
import pytest
import torch
import torchvision.models
from first_weights import Evil, assert_loaded, make
from safetensors.torch import save_file
from torch import Tensor

from bakeoff.errors import DataError
from bakeoff.models.weights import pretrained
from bakeoff.models.weights.origin import weights_origin

# pytest finds a fixture by its name here.
tensors = first_weights.tensors


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_file_of_tensors_is_taken_over_but_for_its_head(
    suffix: str, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    path = tmp_path / f"net{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    model = make(str(path))
    assert_loaded(model, tensors)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights_origin(str(path)) == f"file:{digest}"
    assert model.notes == (f"weights: file:{digest[:8]}, head new (1,000 classes there, 10 here)",)
    assert model.weights_sha256 == digest


def test_the_new_head_is_the_seeds_own(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "net.pth")
    loaded, scratch = make(str(tmp_path / "net.pth")), make("none")
    assert torch.equal(loaded.head.weight, scratch.head.weight)
    assert scratch.weights_sha256 is None
    assert not torch.equal(loaded.body.conv1[0].weight, scratch.body.conv1[0].weight)  # type: ignore[index,union-attr]


def damage(kind: str, tensors: dict[str, Tensor], path: Path) -> None:
    """Writes a file that is not what it should be."""
    changed: Any = dict(tensors)
    if kind == "missing":
        del changed["conv1.0.weight"]
    elif kind == "unknown":
        changed["conv9.weight"] = torch.zeros(1)
    elif kind == "shape":
        changed["conv1.0.weight"] = torch.zeros(24, 1, 3, 3)
    elif kind == "nan":
        changed["conv1.0.weight"] = tensors["conv1.0.weight"] * float("nan")
    elif kind == "numbers":
        changed = {"epoch": 3, "hyper_parameters": {"lr": 0.1}}
    elif kind == "evil":
        changed["conv1.0.weight"] = Evil(path.parent / "made")
    elif kind == "list":
        changed = [1, 2]
    torch.save(changed, path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no weights")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"a": Evil(path.parent / "made")}))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("missing", "missing: conv1.0.weight; 279 of 280 tensors fit"),
        ("unknown", "unknown: conv9.weight"),
        ("shape", r"conv1.0.weight \[24, 1, 3, 3\] instead of \[24, 3, 3, 3\]"),
        ("nan", "conv1.0.weight holds values that are not finite in float32"),
        ("numbers", "not a state dict.*it holds epoch, hyper_parameters"),
        ("evil", "damaged, or no file of tensors alone"),
        ("pickle", "damaged, or no file of tensors alone"),
        ("list", "not a state dict"),
        ("cut", "damaged, or no file of tensors alone"),
        ("empty", "damaged, or no file of tensors alone"),
        ("text", "damaged, or no file of tensors alone"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    kind: str, error: str, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    path = tmp_path / "net.pth"
    damage(kind, tensors, path)
    with pytest.raises(DataError, match=error) as caught:
        make(str(path))
    assert str(path) in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "net.safetensors"
    save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        make(str(path))


def test_weights_of_another_network_list_what_does_not_fit(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    torch.save(tensors, tmp_path / "net.pth")
    with pytest.raises(DataError) as caught:
        make(str(tmp_path / "net.pth"), arch="resnet18")
    assert str(caught.value).endswith(
        "these are no weights of resnet18: missing: conv1.weight, bn1.weight, bn1.bias and 97 more; "
        "unknown: conv1.0.weight, conv1.1.weight, conv1.1.bias and 277 more; 0 of 100 tensors fit"
    )


def old_densenet(name: str) -> str:
    return name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2.")


def old_vit(name: str) -> str:
    return name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2.")


@pytest.mark.parametrize(
    ("arch", "old_name", "renamed"),
    [("densenet121", old_densenet, 290), pytest.param("vit_b_32", old_vit, 48, marks=pytest.mark.slow)],
)
def test_files_with_the_names_of_older_networks_load(
    arch: str, old_name: Callable[[str], str], renamed: int, tmp_path: Path
) -> None:
    """As torchvision's own files are, some without batch norm's counters."""
    options = {"image_size": 32} if arch.startswith("vit") else {}
    torch.manual_seed(5)
    network = torchvision.models.get_model(arch, weights=None, **options)
    tensors = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    old = {old_name(name): tensor for name, tensor in tensors.items()}
    assert len(set(old) - set(tensors)) == renamed
    torch.save(old, tmp_path / "net.pth")
    own = make(str(tmp_path / "net.pth"), arch=arch)
    state = own.state_dict()
    for name, tensor in tensors.items():
        if not own.own_names[name].startswith("head."):
            assert torch.equal(state[own.own_names[name]], tensor), name


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda tensor: tensor.double() * 1e300, "not finite in float32"),
        (lambda tensor: tensor.to(torch.complex64), "no plain tensor"),
        (lambda tensor: tensor.to_sparse(), "no plain tensor"),
        (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), "no plain tensor"),
        (lambda tensor: tensor.to("meta"), "no plain tensor"),
        (lambda tensor: tensor > 0, "of another kind: conv1.0.weight"),
        (lambda tensor: tensor.long(), "of another kind: conv1.0.weight"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, of quantized tensors
def test_tensors_of_other_kinds_are_refused(
    change: Callable[[Tensor], Tensor], error: str, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    torch.save(tensors | {"conv1.0.weight": change(tensors["conv1.0.weight"])}, tmp_path / "net.pth")
    with pytest.raises(DataError, match=error):
        make(str(tmp_path / "net.pth"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_taken_over(
    dtype: torch.dtype, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    save_file(
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()},
        tmp_path / "a.safetensors",
    )
    model = make(str(tmp_path / "a.safetensors"))
    assert all(p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_damage_is_a_data_error(suffix: str, tmp_path: Path) -> None:
    """Single bytes changed all over a small file."""
    path = tmp_path / f"net{suffix}"
    small = {"a": torch.arange(6.0), "b": torch.ones(2, 2)}
    save_file(small, path) if suffix == ".safetensors" else torch.save(small, path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            pretrained.read(str(path))
        except DataError:
            refused += 1
    assert refused > 10
