"""The operators of a .pt2 file, checked and then called one after the other.

Only torch's own `aten` operators are called, with tensors, numbers and the few texts that they need; no name
of the file becomes code, and no file is opened. Before anything is computed, shapes alone pass through all of
it, so that what would take too much memory, or gives other outputs than it says, is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from bakeoff.deploy.export.pt2_archive import DTYPES, Archive

_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
_ARITHMETIC = re.compile(r"_operator\.(add|sub|mul|floordiv|mod|neg)")
# Texts that an operator takes, such as the kind of GELU. Others may be names of files (aten.from_file).
_TEXTS = {"none", "tanh", "same", "valid", "floor", "trunc"}
_SKIPPED = {"_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size"}
# torch's private operators check less of what they are given; these are the ones that networks need.
_PRIVATE = re.compile(r"__\w+__|_upsample_bi(linear|cubic)2d_aa|_to_copy|_softmax|_unsafe_view")
_MEMORY_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
_STRIDED, _KEYWORD = 7, 2  # a layout, and a kind of argument, in the numbers of torch/_export/serde/schema.py
_MOST_OPERATORS = 100_000
_LARGEST_TENSOR = 2**33  # bytes of one tensor, for a single image

Values = dict[str, Any]  # tensors and sizes by their names in the program
Argument = Callable[[Values, torch.device], Any]


class Program:
    """A checked program: bytes of images to its outputs."""

    def __init__(self, archive: Archive) -> None:
        """Checks all of it.

        Raises:
            ValueError, LookupError, TypeError, RuntimeError: what it asks for is not called.
        """
        module = archive.program["graph_module"]
        graph, signature = module["graph"], module["signature"]
        self._nodes = [_Node(node) for node in graph["nodes"][: _MOST_OPERATORS + 1]]
        if len(self._nodes) > _MOST_OPERATORS:
            raise ValueError("too many operators")
        self._stored: dict[str, Tensor] = {}
        inputs: list[str] = []
        for spec in signature["input_specs"]:
            ((kind, content),) = spec.items()
            if kind == "user_input":
                inputs.append(_name(content["arg"]))
            elif kind in ("parameter", "buffer", "tensor_constant"):
                self._stored[content["arg"]["name"]] = archive.tensors[content[f"{kind}_name"]]
            else:
                raise ValueError(f"an input of the kind {kind[:40]!r}")
        (self._input,) = inputs
        self._outputs = [_name(spec["user_output"]["arg"]) for spec in signature["output_specs"]]

    def outputs(self, images: UInt8[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        """Calls the operators, on the device of the images: the CPU, or `meta` for shapes alone."""
        device = images.device
        values: Values = dict(self._stored)
        if device.type == "meta":
            values = {name: tensor.to(device) for name, tensor in values.items()}
        values[self._input] = images
        with torch.no_grad():
            for node in self._nodes:
                node.call(values, device)
        return tuple(values[name] for name in self._outputs)


class _Node:
    """One operator: what is called, with what, and what its results are called."""

    def __init__(self, node: Mapping[str, Any]) -> None:
        target = str(node["target"])
        self._arithmetic = _ARITHMETIC.fullmatch(target)
        found = _OPERATOR.fullmatch(target)
        self._skipped = found is not None and found[1] in _SKIPPED
        if self._arithmetic is None and found is None:
            raise ValueError(f"the operator {target[:80]!r}, which is not one of torch's")
        if found is not None and not self._skipped:
            if found[1].startswith("_") and not _PRIVATE.fullmatch(found[1]):
                raise ValueError(f"torch's private operator {target[:80]!r}")
            self._operator = getattr(getattr(torch.ops.aten, found[1]), found[2])
            arguments = self._operator._schema.arguments
            _refuse_files(target, arguments)
            # What makes a new tensor makes it where the images are: for shapes alone, without memory.
            self._makes = any(argument.name == "device" and argument.kwarg_only for argument in arguments)
        self._positional = [_argument(item["arg"]) for item in node["inputs"] if item.get("kind") != _KEYWORD]
        self._named = {
            str(item["name"]): _argument(item["arg"])
            for item in node["inputs"]
            if item.get("kind") == _KEYWORD
        }
        results = node["outputs"]
        self._gives_list = len(results) == 1 and "as_tensors" in results[0]
        if self._gives_list:
            results = [{"as_tensor": item} for item in results[0]["as_tensors"]]
        self._results = [_name(result) for result in results]

    def call(self, values: Values, device: torch.device) -> None:
        """Computes and stores the results under their names."""
        if self._skipped:
            return
        positional = [argument(values, device) for argument in self._positional]
        if self._arithmetic is not None:
            results: Any = _computed(self._arithmetic[1], positional)
        else:
            named = {name: argument(values, device) for name, argument in self._named.items()}
            if self._makes:
                named["device"] = device
            results = self._operator(*positional, **named)
        if len(self._results) == 1 and not self._gives_list:
            results = (results,)
        for name, result in zip(self._results, results, strict=True):
            if isinstance(result, Tensor) and result.numel() * result.element_size() > _LARGEST_TENSOR:
                raise ValueError("a tensor of more than 8 GiB")
            values[name] = result


def _refuse_files(target: str, arguments: Sequence[Any]) -> None:
    """An operator that opens a file takes its name."""
    if any("file" in argument.name for argument in arguments):
        raise ValueError(f"the operator {target[:80]!r}, which opens files")


def _name(argument: Mapping[str, Any]) -> str:
    """What an argument or result refers to."""
    ((kind, content),) = argument.items()
    if kind == "as_tensor":
        return str(content["name"])
    if kind == "as_sym_int":
        return str(content["as_name"])
    raise ValueError(f"a value of the kind {kind[:40]!r}")


def _argument(argument: Mapping[str, Any]) -> Argument:
    """What an operator is called with, once values and device are known."""
    ((kind, content),) = argument.items()
    match kind:
        case "as_none":
            return _constant(None)
        case "as_int" | "as_float" | "as_bool" | "as_ints" | "as_floats" | "as_bools":
            return _constant(_plain(content))
        case "as_scalar_type":
            return _constant(DTYPES[content])
        case "as_memory_format":
            return _constant(_MEMORY_FORMATS[content])
        case "as_layout" if content == _STRIDED:
            return _constant(torch.strided)
        case "as_string" if content in _TEXTS:
            return _constant(content)
        case "as_tensor":
            return _stored(content["name"])
        case "as_sym_int":
            return _size(content)
        case "as_device" if content["type"] == "cpu":
            return lambda _, device: device
        case "as_tensors":
            return _each([_stored(item["name"]) for item in content])
        case "as_optional_tensors":
            items = (None if "as_none" in item else item["as_tensor"]["name"] for item in content)
            return _each([_constant(None) if name is None else _stored(name) for name in items])
        case "as_sym_ints":
            return _each([_size(item) for item in content])
    raise ValueError(f"an argument of the kind {kind[:40]!r} ({str(content)[:40]!r})")


def _constant(value: Any) -> Argument:
    return lambda _, __: value


def _stored(name: str) -> Argument:
    return lambda values, _: values[name]


def _each(arguments: Sequence[Argument]) -> Argument:
    return lambda values, device: [argument(values, device) for argument in arguments]


def _size(argument: Mapping[str, Any]) -> Argument:
    """A size that is known, or was found by an operator before."""
    ((kind, content),) = argument.items()
    if kind == "as_int":
        return _constant(_plain(content))
    if kind != "as_name":
        raise ValueError(f"a size of the kind {kind[:40]!r}")

    def found(values: Values, _: torch.device) -> int:
        value = values[content]
        if not isinstance(value, int):
            raise TypeError("a size that is no whole number")
        return value

    return found


def _plain(content: Any) -> Any:
    items = content if isinstance(content, list) else [content]
    if not all(isinstance(item, int | float) for item in items):
        raise ValueError("an argument that is no number")
    return content


def _computed(name: str, numbers: Sequence[Any]) -> Any:
    """Arithmetic of sizes."""
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError("arithmetic of something other than sizes")
    if name == "neg":
        return -numbers[0]
    first, second = numbers
    return {
        "add": lambda: first + second,
        "sub": lambda: first - second,
        "mul": lambda: first * second,
        "floordiv": lambda: first // second,
        "mod": lambda: first % second,
    }[name]()
