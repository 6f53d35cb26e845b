"""ONNX files that are anybody's: what is not plain is named, and nothing else is opened or loaded."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_files import METADATA, hand_made, opened
from test_exported_pt2 import Trap

from bakeoff.deploy.export.opened import open_exported
from bakeoff.errors import DataError

pytestmark = pytest.mark.usefixtures("onnx_extra")


def test_a_file_is_opened_and_rates_any_number_of_images(tmp_path: Path) -> None:
    model = opened(tmp_path, "toy.onnx", hand_made().SerializeToString())
    assert (model.format, model.metadata, model.output_names) == ("onnx", METADATA, ("probabilities",))
    images = np.random.RandomState(0).randint(0, 256, (600, 1, 8, 8)).astype(np.uint8)
    light = images.mean(axis=(1, 2, 3), dtype=np.float64)[:, None] / 255
    for count in (0, 1, 7, 600):
        rows = model.probabilities(images[:count])
        assert (rows.shape, rows.dtype) == ((count, 2), np.float32)
        np.testing.assert_allclose(rows, np.hstack((1 - light, light))[:count], atol=1e-6)


@pytest.mark.parametrize("factor", [np.nan, -1.0, 5.0, np.inf])
def test_what_is_no_probability_is_no_answer(tmp_path: Path, factor: float) -> None:
    model = hand_made()
    weights = model.graph.initializer[0]
    weights.raw_data = np.full((64, 1), factor / 64 / 255, np.float32).tobytes()
    bright = np.full((3, 1, 8, 8), 255, dtype=np.uint8)
    with pytest.raises(DataError, match=r"toy.onnx: what it gives are no probabilities"):
        opened(tmp_path, "toy.onnx", model.SerializeToString()).probabilities(bright)


def test_threads_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "toy.onnx").write_bytes(hand_made().SerializeToString())
    model = open_exported(tmp_path / "toy.onnx", threads=1)
    assert model._model.session.get_session_options().intra_op_num_threads == 1  # type: ignore[attr-defined]


def elsewhere(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="../secret.bin")


def hidden_elsewhere(model: Any) -> None:
    from onnx import TensorProto, helper

    tensor = TensorProto(data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="../secret.bin")
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))


def nested(model: Any) -> None:
    from onnx import helper

    model.graph.node.append(
        helper.make_node("Loop", [], ["unused"], body=helper.make_graph([], "inner", [], []))
    )


def entry(key: str, value: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        (item,) = [item for item in model.metadata_props if item.key == f"bakeoff.{key}"]
        item.value = value

    return change


def other_input(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 9


def function(model: Any) -> None:
    model.functions.add(name="f", domain="own")


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "weights in another file": (elsewhere, "weights in another file ('../secret.bin'), which is not opened"),
    "a constant in another file": (hidden_elsewhere, "weights in another file ('../secret.bin')"),
    "a library's operator": (lambda m: setattr(m.graph.node[0], "domain", "com.evil"), "the library 'com.evil'"),
    "a library's set": (lambda m: m.opset_import.add(domain="com.microsoft", version=1), "'com.microsoft'"),
    "a function": (function, "it defines functions of its own"),
    "a graph inside": (nested, "the operator 'Loop' holds a graph of its own"),
    "an operator that is none": (lambda m: setattr(m.graph.node[0], "op_type", "Nope\x1b"), "Nope"),
    "no graph": (lambda m: m.graph.ClearField("node"), "it holds no graph"),
    "no metadata": (lambda m: m.ClearField("metadata_props"), "bakeoff has not written it"),
    "a later schema": (entry("schema", "2"), "a newer version of bakeoff wrote it"),
    "no names": (entry("class_names", "[]"), "bakeoff.class_names is not a list of names"),
    "numbers as names": (entry("class_names", "[1, 2]"), "bakeoff.class_names is not a list of names"),
    "a very long name": (entry("class_names", f'["a", "{"b" * 1001}"]'), "bakeoff.class_names"),
    "nested names": (entry("class_names", "[" * 100_000), "bakeoff.class_names is missing or damaged"),
    "no run": (entry("run_id", ""), "bakeoff.run_id is missing or too long"),
    "no size": (entry("input", "{}"), "bakeoff.input is not the channels, height and width"),
    "a huge size": (entry("input", '{"channels": 1, "height": 8, "width": 100000}'), "bakeoff.input"),
    "three classes": (entry("class_names", '["a", "b", "c"]'), "its output probabilities is tensor(float) [2]"),
    "another input": (other_input, "not used"),
    "another output": (lambda m: setattr(m.graph.node[-1], "output", []), "not used"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_not_plain_is_named(tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    change, told = CHANGES[case]
    model = hand_made()
    if case == "another output":
        model.graph.output[0].name = "light"
    else:
        change(model)
    (tmp_path.parent / "secret.bin").write_bytes(bytes(256))
    with pytest.raises(DataError) as caught:
        opened(tmp_path, "toy.onnx", model.SerializeToString())
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'toy.onnx'}: ")
    assert told in text
    assert text.isprintable()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["trap.onnx", "trap.pt2"])
@pytest.mark.parametrize("kind", ["pickle", "text", "nothing", "cut", "pipe"])
def test_what_is_no_model_is_refused_and_not_run(tmp_path: Path, name: str, kind: str) -> None:
    contents = {
        "pickle": pickle.dumps(Trap(tmp_path / "PWNED")),
        "text": b"<html>not found</html>",
        "nothing": b"",
        "cut": hand_made().SerializeToString()[:300],
    }
    if kind == "pipe":
        import os

        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(contents[kind])
    with pytest.raises(DataError, match="give a file that bakeoff export has written"):
        open_exported(tmp_path / name)
    assert not (tmp_path / "PWNED").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nope\.onnx: no such file or directory"):
        open_exported(tmp_path / "nope.onnx")
