"""Exported files to be damaged: records of a .pt2 file, and ONNX graphs made by hand."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.deploy.export.metadata import Metadata
from bakeoff.deploy.export.opened import Exported, open_exported

Records = dict[str, bytes]
METADATA = Metadata("made-by-hand", ("dark", "bright"), (1, 8, 8), "toy", "toy")


def records(content: bytes) -> Records:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}


def archive_of(parts: Records, method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, part in parts.items():
            archive.writestr(f"archive/{name}", part)
    return content.getvalue()


def with_json(content: bytes, name: str, change: Callable[[Any], object]) -> bytes:
    """A .pt2 file with one of its JSON records changed."""
    parts = records(content)
    value = json.loads(parts[name])
    change(value)
    parts[name] = json.dumps(value).encode()
    return archive_of(parts)


def with_node(content: bytes, **changes: Any) -> bytes:
    """A .pt2 file whose first operator is another one."""
    return with_json(content, "models/model.json", lambda program: first_node(program).update(changes))


def first_node(program: Any) -> Any:
    return program["graph_module"]["graph"]["nodes"][0]


def hand_made() -> Any:
    """A small ONNX model: the share of light in a picture is the probability of the second class."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["values"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["light"]),
        helper.make_node("Sub", ["one", "light"], ["dark"]),
        helper.make_node("Concat", ["dark", "light"], ["probabilities"], axis=1),
    ]
    weights = [
        numpy_helper.from_array(np.full((64, 1), 1 / 64 / 255, np.float32), "weights"),
        numpy_helper.from_array(np.ones(1, np.float32), "one"),
    ]
    taken = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, 8, 8])
    given = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "toy", [taken], [given], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    for key, text in METADATA.entries().items():
        model.metadata_props.add(key=key, value=text)
    onnx.checker.check_model(model)
    return model


def opened(folder: Path, name: str, content: bytes) -> Exported:
    path = folder / name
    path.write_bytes(content)
    return open_exported(path)


PT2_METADATA = Metadata("toy-run", ("a", "b", "c"), (1, 8, 8), "toy", "toy")


def node(operator: str, inputs: list[tuple[str, Any]], *results: str) -> Any:
    return {
        "target": f"torch.ops.aten.{operator}",
        "inputs": [{"name": name, "arg": value, "kind": 1} for name, value in inputs],
        "outputs": [{"as_tensor": {"name": result}} for result in results],
        "metadata": {},
    }


def tensor(name: str) -> Any:
    return {"as_tensor": {"name": name}}


def whole(*numbers: int) -> list[Any]:
    return [{"as_int": number} for number in numbers]


def hand_made_pt2() -> bytes:
    """A small program as torch.export.save writes it: a linear layer on the bytes of a picture."""
    weight = np.random.RandomState(0).randn(3, 64).astype("<f4")
    bias = np.arange(3, dtype="<f4")
    size = {"as_sym_int": {"as_name": "batch"}}
    sized = node("sym_size.int", [("self", tensor("images")), ("dim", {"as_int": 0})])
    sized["outputs"] = [size]
    sizes = {"as_sym_ints": [{"as_name": "batch"}, {"as_int": 64}]}
    nodes = [
        node("to.dtype", [("self", tensor("images")), ("dtype", {"as_scalar_type": 7})], "values"),
        sized,
        node("view.default", [("self", tensor("values")), ("size", sizes)], "rows"),
        node("div.Tensor", [("self", tensor("rows")), ("other", {"as_int": 255})], "scaled"),
        node("linear.default", [(key, tensor(key)) for key in ("scaled", "weight", "bias")], "logits"),
        node("max.dim", [("self", tensor("logits")), ("dim", {"as_int": 1})], "largest", "place"),
        node("relu_.default", [("self", tensor("logits"))], "positive"),
        node("softmax.int", [("self", tensor("positive")), ("dim", {"as_int": 1})], "softmax"),
    ]
    inputs = [
        {"parameter": {"arg": {"name": "weight"}, "parameter_name": "layer.weight"}},
        {"tensor_constant": {"arg": {"name": "bias"}, "tensor_constant_name": "bias"}},
        {"user_input": {"arg": tensor("images")}},
    ]
    outputs = [{"user_output": {"arg": tensor("softmax")}}]
    program = {
        "graph_module": {
            "graph": {"nodes": nodes},
            "signature": {"input_specs": inputs, "output_specs": outputs},
        }
    }
    texts = {f"extra/{key}": text.encode() for key, text in PT2_METADATA.entries().items()}
    return archive_of(
        {
            "models/model.json": json.dumps(program).encode(),
            "data/weights/weight_0": weight.tobytes(),
            "data/weights/model_weights_config.json": payloads("layer.weight", "weight_0", (3, 64), (64, 1)),
            "data/constants/tensor_0": bias.tobytes(),
            "data/constants/model_constants_config.json": payloads("bias", "tensor_0", (3,), (1,)),
            "data/sample_inputs/model.pt": b"",
            "byteorder": b"little",
            "archive_version": b"0",
            **texts,
        }
    )


def payloads(name: str, path: str, sizes: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    meta = {"dtype": 7, "sizes": whole(*sizes), "strides": whole(*strides), "storage_offset": {"as_int": 0}}
    return json.dumps(
        {"config": {name: {"path_name": path, "use_pickle": False, "tensor_meta": meta}}}
    ).encode()
