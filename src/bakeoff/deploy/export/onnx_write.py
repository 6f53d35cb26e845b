"""A traced program as an ONNX file, preprocessing included. Needs the extra `onnx`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from bakeoff.deploy.export.graph import INPUT
from bakeoff.deploy.export.metadata import Metadata
from bakeoff.deploy.export.quiet import quiet
from bakeoff.errors import ConfigError, is_out_of_memory
from bakeoff.text import one_line

if TYPE_CHECKING:
    import onnx

_FLOAT = 1  # onnx.TensorProto.FLOAT
# A single file holds its weights up to this; protobuf counts bytes in 31 bits.
MOST_BYTES = 2**31 - 2**24


def to_onnx(program: ExportedProgram, outputs: Sequence[str], metadata: Metadata) -> "onnx.ModelProto":
    """Translates a program.

    Args:
        program: as `graph.traced` gives it.
        outputs: what comes out, in order.
        metadata: what the file says of itself.

    Raises:
        ConfigError: an operator that ONNX does not have, or weights too large for a file.
    """
    refuse_large(metadata.model, program.state_dict.values())
    try:
        with quiet():
            written = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=list(outputs),
                custom_translation_table={torch.ops.aten.sort.stable: _stable_sort()},
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(
            f"{metadata.model}: torch's exporter cannot write it as ONNX ({_reason(error)}); use --format pt2"
        ) from error
    assert written is not None
    proto = written.model_proto
    _forget_sources(proto)
    _name_batch(proto)
    proto.producer_name, proto.producer_version = "bakeoff", metadata.version
    for key, text in metadata.entries().items():
        proto.metadata_props.add(key=key, value=text)
    return proto


def refuse_large(model: str, tensors: Iterable[Tensor]) -> None:
    """Weights that a single file cannot hold.

    Raises:
        ConfigError: they are too large.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if weights > MOST_BYTES:
        raise ConfigError(
            f"{model}: {weights:,} bytes of weights, more than an ONNX file can hold; use --format pt2"
        )


def _stable_sort() -> Any:
    """What torch's sort(stable=True) is in ONNX; the exporter does not know it."""
    from onnxscript import opset20

    op: Any = opset20

    # Named as torch's own arguments are.
    def sort(self: Any, stable: bool = False, dim: int = -1, descending: bool = False) -> tuple[Any, Any]:
        del stable  # TopK always is: of equal values the lower index comes first
        size = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]), axis=0)
        # TopK has no bytes; our detector sorts those and float32, and both are exact in float32.
        values, indices = op.TopK(op.Cast(self, to=_FLOAT), size, axis=dim, largest=int(descending), sorted=1)
        return op.CastLike(values, self), indices

    return sort


def _name_batch(proto: "onnx.ModelProto") -> None:
    """The exporter calls the size of a batch `s34` or the like; who opens the file sees `batch`."""
    (given,) = proto.graph.input
    traced = given.type.tensor_type.shape.dim[0].dim_param
    for value in (given, *proto.graph.output, *proto.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == traced:
                dim.dim_param = "batch"


def _forget_sources(proto: "onnx.ModelProto") -> None:
    """Takes out notes of the exporter on each operator, which hold lines of source with their paths here."""
    graph = proto.graph
    for item in (
        proto,
        graph,
        *graph.node,
        *graph.initializer,
        *graph.value_info,
        *graph.input,
        *graph.output,
    ):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _reason(error: BaseException) -> str:
    """The innermost error: the outer one is a page about reporting it to torch."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {one_line(error)}"
