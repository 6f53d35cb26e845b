"""Files of weights that can be read in two ways, or in none: refused in one line."""

import argparse
import os
from pathlib import Path
from typing import Any

import found_weights
import numpy as np
import pytest
import torch
import torchvision.models
from first_weights import make
from found_weights import NEW, assert_like, loaded, network, prefixed, saved, state_dict
from torch import Tensor

from bakeoff.errors import DataError
from bakeoff.models.weights.readings import best_readings

# pytest finds a fixture by its name here.
plain = found_weights.plain


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("prefixes", "'encoder_q.*' and 'encoder_k.*'"),
        ("wrappers", "'student' and 'teacher'"),
        ("both", "there twice: conv1.0.weight and module.conv1.0.weight"),
        ("beside", "names without a prefix and 'state_dict/encoder_k.*'"),
    ],
)
def test_two_readings_that_fit_alike_are_not_guessed(
    form: str, named: str, tmp_path: Path, plain: dict[str, Tensor]
) -> None:
    other = state_dict(6)
    contents: dict[str, dict[str, Any]] = {
        "prefixes": prefixed("module.encoder_q.", plain) | prefixed("module.encoder_k.", other),
        "wrappers": {"student": prefixed("module.", plain), "teacher": other},
        "both": plain | prefixed("module.", other),
        "beside": {"state_dict": prefixed("encoder_k.", plain), **other},
    }
    with pytest.raises(DataError) as caught:
        loaded(saved(tmp_path, contents[form]))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_larger_network_of_the_same_names_is_no_smaller_one(tmp_path: Path) -> None:
    """All tensors of ResNet-18 are in a file of ResNet-34, of the same shapes."""
    with torch.device("meta"):
        names = torchvision.models.resnet34(num_classes=37).state_dict()
    tensors = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in names.items()}
    with pytest.raises(DataError, match=r"no weights of resnet18: unknown: .* more; 100 of 100 tensors fit$"):
        make(str(saved(tmp_path, {"state_dict": prefixed("module.", tensors)})), arch="resnet18")


def test_too_little_is_an_error_of_one_short_line(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    content = {f"module.\x1b[31m{name}\n": tensor for name, tensor in plain.items()}
    with pytest.raises(DataError) as caught:
        loaded(saved(tmp_path, content))
    text = str(caught.value)
    assert len(text) < 500 + len(str(tmp_path))
    assert text.isprintable()
    assert "0 of 280 tensors fit" in text


class Leaves:
    """An object that would make a file if it were unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("inside", ["object", "options", "array"])
def test_what_a_file_holds_besides_plain_values_is_named_and_not_made(
    tmp_path: Path, plain: dict[str, Tensor], inside: str
) -> None:
    mark = tmp_path / "made"
    value: Any = Leaves(mark)
    if inside == "options":
        value = argparse.Namespace(lr=value)
    elif inside == "array":
        value = np.array([value], dtype=object)
    named = "_reconstruct" if inside == "array" else "mkdir"
    with pytest.raises(DataError, match=rf"it holds \S+{named}; save its state dict alone"):
        loaded(saved(tmp_path, {"model": plain, "args": value}))
    assert not mark.exists()


def test_options_paths_and_numpy_numbers_beside_the_weights_are_passed_over(
    tmp_path: Path, plain: dict[str, Tensor]
) -> None:
    """As DeiT and timm save them."""
    options = argparse.Namespace(lr=0.1, output_dir=Path("/x"), best=np.float64(3), epoch=np.int64(2))
    path = saved(tmp_path, {"model": plain, "args": options, "metric": np.float32(1), "done": np.bool_(True)})
    assert_like(path, plain)


def test_no_weights_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(DataError, match="no file of tensors alone"):
        loaded(tmp_path / "notes.txt")


def test_a_file_that_holds_itself_ends(tmp_path: Path, plain: dict[str, Tensor]) -> None:
    content: dict[str, Any] = {"model": plain}
    content["self"] = content
    assert assert_like(saved(tmp_path, content), plain) == f"from 'model', {NEW}, 1 skipped: self"


def test_dicts_that_are_shared_are_looked_at_once(plain: dict[str, Tensor]) -> None:
    """A small file can hold billions of ways to one dict."""
    content: dict[str, Any] = dict(plain)
    for _ in range(3):
        content = dict.fromkeys(map(str, range(5)), content)
    target = network()._target(keeps_head=False, of_a_run=False)
    assert len(best_readings(content, target)) == 1
