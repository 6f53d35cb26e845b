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
