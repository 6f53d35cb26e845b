"""An ONNX file of bakeoff, read with distrust. Needs the extra `onnx`; no torch here.

A graph is data, but it can name other files as its weights, and operators of libraries. What is run is what
was checked: the parsed graph is written anew for onnxruntime, which never sees the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from bakeoff.deploy.export.metadata import Metadata, from_entries
from bakeoff.runs.reading import UnreadableFileError, read_bytes
from bakeoff.text import one_line

if TYPE_CHECKING:
    import onnx

_MOST_BYTES = 2**31 - 1  # protobuf's limit
_STANDARD = ("", "ai.onnx")  # names of ONNX's own set of operators
_EXTERNAL = 1  # TensorProto.EXTERNAL
_MOST_INPUTS = 1
_SILENT = 4  # onnxruntime's severity of messages: fatal ones only


@dataclass(frozen=True)
class OnnxModel:
    """A session of onnxruntime, on the CPU."""

    metadata: Metadata
    session: Any
    output_names: tuple[str, ...]

    def outputs(self, images: UInt8[np.ndarray, "b c h w"]) -> list[np.ndarray]:
        """What comes out, in the order of `output_names`."""
        found: list[np.ndarray] = self.session.run(None, {self.session.get_inputs()[0].name: images})
        return found


def read_onnx(path: Path, threads: int | None) -> OnnxModel:
    """Opens a file of at most 2 GiB.

    Args:
        path: the file.
        threads: for an operator; None: as onnxruntime chooses.

    Raises:
        UnreadableFileError: no such file, not ONNX, damaged, or with parts that are not run.
    """
    import onnx
    import onnxruntime

    content = read_bytes(path, _MOST_BYTES)
    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own kind, which has no types
        raise UnreadableFileError(f"{path.name}: neither an ONNX nor a .pt2 file") from error
    del content
    try:
        _refuse_strange(proto)
        entries = {item.key: item.value for item in proto.metadata_props}
        metadata = from_entries(entries)
        del proto.metadata_props[:]  # onnxruntime would read some of them as its own options
        proto.DiscardUnknownFields()
        onnxruntime.set_default_logger_severity(_SILENT)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        _check_borders(session, metadata)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # onnxruntime has a dozen kinds of its own
        raise UnreadableFileError(f"{path.name}: not used: {one_line(error)}") from error
    return OnnxModel(metadata, session, tuple(output.name for output in session.get_outputs()))


def _refuse_strange(proto: "onnx.ModelProto") -> None:
    """All that bakeoff never writes: other domains, functions, graphs inside of operators, external weights.

    Raises:
        ValueError: with the first of it.
    """
    graph = proto.graph
    if not graph.node:
        raise ValueError("it holds no graph")
    if proto.functions or proto.training_info:
        raise ValueError("it defines functions of its own")
    domains = [item.domain for item in proto.opset_import] + [node.domain for node in graph.node]
    if strange := [domain for domain in domains if domain not in _STANDARD]:
        raise ValueError(f"it needs operators of the library {strange[0][:80]!r}, which is not loaded")
    if len(graph.input) != _MOST_INPUTS:
        raise ValueError(f"it takes {len(graph.input)} inputs, not one")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name:
                raise ValueError(f"the operator {node.op_type[:80]!r} holds a graph of its own")
            _refuse_external((attribute.t, *attribute.tensors))
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                _refuse_external((sparse.values, sparse.indices))
    _refuse_external(graph.initializer)
    if graph.sparse_initializer:
        raise ValueError("it has sparse weights")


def _refuse_external(tensors: "Iterable[onnx.TensorProto]") -> None:
    for tensor in tensors:
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            where = next((item.value for item in tensor.external_data if item.key == "location"), "?")
            raise ValueError(f"weights in another file ({where[:80]!r}), which is not opened")


def _check_borders(session: Any, metadata: Metadata) -> None:
    """What goes in and comes out is as the metadata say.

    Raises:
        ValueError: it is not.
    """
    (taken,) = session.get_inputs()
    if taken.type != "tensor(uint8)" or list(taken.shape[1:]) != list(metadata.shape):
        raise ValueError(f"it takes {taken.type} {taken.shape}, not bytes of {metadata.shape}")
    given = {output.name: (output.type, list(output.shape[1:])) for output in session.get_outputs()}
    expected = {"probabilities": [len(metadata.class_names)], "boxes": [4], "scores": []}
    if next(iter(given)) != "probabilities" or not given.keys() <= expected.keys():
        raise ValueError(f"its outputs are called {', '.join(given)[:80]}")
    for name, found in given.items():
        if found != ("tensor(float)", expected[name]):
            raise ValueError(f"its output {name} is {found[0]} {found[1]}")
