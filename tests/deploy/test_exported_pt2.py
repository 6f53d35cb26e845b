"""Files of torch.export that are anybody's: read without a line of them being run."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_files import (
    PT2_METADATA,
    Records,
    archive_of,
    first_node,
    hand_made_pt2,
    opened,
    records,
    with_json,
    with_node,
)
from torch import nn

from bakeoff.deploy.export.pt2_write import to_pt2
from bakeoff.errors import DataError

MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(64, 3)
        self.register_buffer("shift", torch.ones(1), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rows = (images.float() / 255 - self.shift).view(images.shape[0], -1)
        order = rows.sort(dim=1, stable=True).values
        return (self.layer(rows + order).relu_().softmax(dim=1),)


@pytest.fixture(scope="module", params=["by hand", pytest.param("by torch", marks=pytest.mark.slow)])
def content(request: pytest.FixtureRequest) -> bytes:
    """A file; torch takes seconds to make its first one."""
    return hand_made_pt2() if request.param == "by hand" else by_torch()


def by_torch() -> bytes:
    images = torch.zeros((3, 1, 8, 8), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1024)
    with torch.no_grad():
        model = Toy().requires_grad_(requires_grad=False)
        program = torch.export.export(model, (images,), dynamic_shapes={"images": {0: batch}})
    program._example_inputs = None
    return to_pt2(program, PT2_METADATA)


@pytest.mark.slow
def test_a_file_gives_what_torch_gives_to_the_bit(tmp_path: Path) -> None:
    model = opened(tmp_path, "toy.pt2", by_torch())
    assert (model.format, model.metadata) == ("pt2", PT2_METADATA)
    images = np.random.RandomState(0).randint(0, 256, (600, 1, 8, 8)).astype(np.uint8)
    theirs = torch.export.load(tmp_path / "toy.pt2").module()
    with torch.no_grad():
        for count in (0, 1, 7, 256):
            rows = model.probabilities(images[:count])
            assert (rows.shape, rows.dtype) == ((count, 3), np.float32)
            if count:
                assert np.array_equal(rows, theirs(torch.from_numpy(images[:count]))[0].numpy())
    assert model.probabilities(images).shape == (600, 3)


def test_a_file_rates_any_number_of_images(content: bytes, tmp_path: Path) -> None:
    model = opened(tmp_path, "toy.pt2", content)
    assert (model.format, model.metadata, model.output_names) == ("pt2", PT2_METADATA, ("probabilities",))
    images = np.random.RandomState(0).randint(0, 256, (600, 1, 8, 8)).astype(np.uint8)
    rows = model.probabilities(images)
    assert (rows.shape, rows.dtype) == ((600, 3), np.float32)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    for count in (0, 1, 7):
        np.testing.assert_allclose(model.probabilities(images[:count]), rows[:count], atol=1e-6)


def test_a_hand_made_file_is_computed_as_it_says(tmp_path: Path) -> None:
    model = opened(tmp_path, "toy.pt2", hand_made_pt2())
    weight = np.random.RandomState(0).randn(3, 64).astype(np.float32)
    images = np.random.RandomState(1).randint(0, 256, (5, 1, 8, 8)).astype(np.uint8)
    logits = np.maximum(images.reshape(5, 64) / 255 @ weight.T + np.arange(3), 0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.probabilities(images), expected, atol=1e-6)


def test_a_name_without_an_ending_and_a_link_are_opened(content: bytes, tmp_path: Path) -> None:
    opened(tmp_path, "toy", content)
    (tmp_path / "link.onnx").symlink_to("toy")
    from bakeoff.deploy.export.opened import open_exported

    assert open_exported(tmp_path / "link.onnx").format == "pt2"


def test_threads_are_those_asked_for_while_it_runs(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bakeoff.deploy.export.opened import open_exported

    (tmp_path / "toy.pt2").write_bytes(content)
    model, seen = open_exported(tmp_path / "toy.pt2", threads=3), []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    model.probabilities(np.zeros((1, 1, 8, 8), np.uint8))
    assert seen == [3, torch.get_num_threads()]


def ints(*values: int) -> dict[str, Any]:
    return {"as_ints": list(values)}


def argument(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "arg": value, "kind": 1}


OPERATORS: dict[str, tuple[dict[str, Any], str]] = {
    "a function of Python": ({"target": "torch.os.system"}, "'torch.os.system', which is not one of torch's"),
    "a path": ({"target": "torch.ops.aten.../x.add"}, "which is not one of torch's"),
    "a library": ({"target": "torch.ops.load_library"}, "which is not one of torch's"),
    "another library's": ({"target": "torch.ops.evil.run.default"}, "which is not one of torch's"),
    "operator.call": ({"target": "_operator.call"}, "'_operator.call'"),
    "a class": ({"target": "#Extension:evil"}, "which is not one of torch's"),
    "a file": ({"target": "torch.ops.aten.from_file.default"}, "which opens files"),
    "a private one": ({"target": "torch.ops.aten._cdist_forward.default"}, "torch's private operator"),
    "none": ({"target": "torch.ops.aten.nope.default"}, "nope"),
    "much memory": (
        {"target": "torch.ops.aten.zeros.default", "inputs": [argument("size", ints(10**5, 10**5))]},
        "a tensor of more than 8 GiB",
    ),
    "a text": (
        {"target": "torch.ops.aten.zeros.default", "inputs": [argument("size", {"as_string": "/etc/passwd"})]},
        "an argument of the kind 'as_string'",
    ),
    "a graph": ({"inputs": [argument("self", {"as_graph": {}})]}, "an argument of the kind 'as_graph'"),
    "an expression": (
        {"inputs": [argument("self", {"as_sym_int": {"as_expr": "__import__('os').mkdir('PWNED')"}})]},
        "a size of the kind 'as_expr'",
    ),
    "another device": ({"inputs": [argument("self", {"as_device": {"type": "cuda"}})]}, "of the kind 'as_device'"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPERATORS)
def test_an_operator_that_networks_do_not_need_is_named(content: bytes, tmp_path: Path, case: str) -> None:
    changes, told = OPERATORS[case]
    refused(tmp_path, with_node(content, **changes), told)


def refused(folder: Path, content: bytes, told: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(folder, "toy.pt2", content)
    text = str(caught.value)
    assert text.startswith(f"{folder / 'toy.pt2'}: ")
    assert told in text
    assert text.isprintable()
    assert [path.name for path in folder.iterdir()] == ["toy.pt2"]


def first_weight(config: Any) -> Any:
    return config["config"]["layer.weight"]


def test_tensors_that_are_pickles_or_reach_too_far_are_named(content: bytes, tmp_path: Path) -> None:
    def changed(**values: Any) -> bytes:
        return with_json(content, WEIGHTS, lambda config: first_weight(config).update(values))

    def meta(**values: Any) -> bytes:
        return with_json(content, WEIGHTS, lambda config: first_weight(config)["tensor_meta"].update(values))

    refused(tmp_path, changed(use_pickle=True), "layer.weight is a pickle, which could run code")
    refused(tmp_path, changed(path_name="custom_obj_0"), "layer.weight is no tensor")
    refused(tmp_path, changed(path_name="../models/model.json"), "layer.weight is no tensor")
    refused(tmp_path, changed(path_name="weight_77"), "weight_77")
    large = [{"as_int": 10**6}, {"as_int": 10**6}]
    refused(tmp_path, meta(sizes=large, strides=[{"as_int": 0}] * 2), "larger than what is stored of it")
    refused(tmp_path, meta(storage_offset={"as_int": 10**9}), "not used")
    refused(tmp_path, meta(strides=[{"as_int": 10**6}] * 2), "not used")
    refused(tmp_path, meta(dtype=99), "99")


def with_record(content: bytes, name: str, record: bytes) -> bytes:
    return archive_of(records(content) | {name: record})


def test_records_that_are_not_read_are_named(content: bytes, tmp_path: Path) -> None:
    library = with_record(content, "data/aotinductor/model/evil.so", b"\x7fELF")
    refused(tmp_path, library, "it holds 'archive/data/aotinductor/model/evil.so', which is not read")
    refused(tmp_path, with_record(content, "data/constants/opaque_obj_0", b"x"), "opaque_obj_0")
    refused(tmp_path, with_record(content, "../../evil", b"x"), "which is not read")
    refused(tmp_path, with_record(content, "a\x1b[31m", b"x"), "which is not read")
    refused(tmp_path, with_record(content, "byteorder", b"big"), "its bytes are in another order")
    refused(tmp_path, with_record(content, "extra/bakeoff.run_id", b"\xff"), "not used")
    refused(tmp_path, with_record(content, "extra/note", b"x" * (2**20 + 1)), "is too long")
    refused(tmp_path, with_record(content, MODEL, b"[" * 10**5), "not used")
    refused(tmp_path, with_record(content, MODEL, b"{}"), "no 'graph_module'")
    file = io.BytesIO(archive_of(records(content)))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"archive/{MODEL}", b"{}")
    refused(tmp_path, file.getvalue(), f"{MODEL} stands twice")


def test_example_inputs_are_never_unpickled(content: bytes, tmp_path: Path) -> None:
    trap = tmp_path / "PWNED"
    name = "data/sample_inputs/model.pt"
    assert records(content)[name] == b""  # nothing of the images that were at hand when it was written
    opened(tmp_path, "toy.pt2", with_record(content, name, pickle.dumps(Trap(trap))))
    assert not trap.exists()


def test_bombs_are_refused(content: bytes, tmp_path: Path) -> None:
    zeros: Records = records(content) | {"data/weights/weight_99": bytes(10**7)}
    bomb = archive_of(zeros, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10**5
    refused(tmp_path, bomb, "is compressed or encrypted")
    many = archive_of({f"extra/{'x' * 500}{number}": b"" for number in range(8_000)})
    refused(tmp_path, many, "not an archive of torch.export.save")
    for size in (10, len(content) // 2, len(content) - 1):
        with pytest.raises(DataError):
            opened(tmp_path, "toy.pt2", content[:size])


def test_overlapping_records_are_refused(content: bytes, tmp_path: Path) -> None:
    """Several names for one long record: little on the disk, much in memory."""
    parts = records(content)
    for number in range(50):
        parts[f"data/weights/weight_{number}"] = bytes(1000)
    file = io.BytesIO(archive_of(parts))
    with zipfile.ZipFile(file, "a") as archive:
        first = archive.getinfo("archive/data/weights/weight_0")
        first_size = 10**6
        for entry in archive.infolist():
            if entry.filename.startswith("archive/data/weights/weight_"):
                entry.file_size = entry.compress_size = first_size
                entry.header_offset = first.header_offset
        archive._didModify = True  # type: ignore[attr-defined]
    refused(tmp_path, file.getvalue(), "its records are larger than the file")


def test_outputs_must_be_those_of_a_model(content: bytes, tmp_path: Path) -> None:
    def texts(**changes: Any) -> bytes:
        parts = records(content)
        return archive_of(
            parts | {f"extra/bakeoff.{key}": json.dumps(v).encode() for key, v in changes.items()}
        )

    refused(tmp_path, texts(class_names=["a", "b"]), "its outputs have the shapes [(3, 3)]")
    refused(tmp_path, texts(input={"channels": 1, "height": 9, "width": 8}), "not used")
    two = with_json(content, MODEL, lambda program: program["graph_module"]["signature"]["output_specs"].append(
        program["graph_module"]["signature"]["output_specs"][0]
    ))  # fmt: skip
    refused(tmp_path, two, "its outputs have the shapes [(3, 3), (3, 3)]")


def test_names_in_a_graph_become_no_code(content: bytes, tmp_path: Path) -> None:
    """torch.export.load would write the name of an input into a Python function."""
    evil = "images\n    __import__('os').mkdir('PWNED')\n    x"
    renamed = json.loads(records(content)[MODEL].decode().replace('"images"', json.dumps(evil)))
    assert first_node(renamed)
    before = set(os.listdir())
    model = opened(tmp_path, "toy.pt2", with_record(content, MODEL, json.dumps(renamed).encode()))
    model.probabilities(np.zeros((2, 1, 8, 8), np.uint8))
    assert set(os.listdir()) == before
