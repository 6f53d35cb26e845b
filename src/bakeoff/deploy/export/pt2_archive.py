"""A .pt2 file of torch.export, read without a line of it being run.

`torch.export.load` is for files of one's own: it unpickles example inputs and constants, evaluates
expressions, imports modules that a file names, and puts names of the graph into Python code. Here records are
read as what they are for these models: raw tensors, and a list of operators in JSON (`pt2_graph.py` checks
and calls those). Whatever else a record would ask for is refused.
"""

import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bakeoff.runs.reading import UnreadableFileError, opened
from bakeoff.text import one_line

MOST_BYTES = 2**34
_LARGEST_LIST = 2**22  # bytes of the list of records; a network of 1,000 tensors has 150 kB
_LARGEST_JSON = 2**26
_LARGEST_TEXT = 2**20
_MODEL = "models/model.json"
_WEIGHTS, _CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
# What torch.export.save writes for such a program, and nothing else. The example inputs are not read.
_KNOWN = re.compile(
    r"models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt"
    r"|extra/[\w.]+|archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)"
)
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
# As torch/_export/serde/schema.py numbers them.
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
    7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
# Ends of a ZIP file: of the usual kind, and before it of the large kind with its own pointer, which torch
# always writes.
_END, _LARGE_END = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_POINTER_BYTES = 20


@dataclass(frozen=True)
class Archive:
    """The records of a .pt2 file."""

    program: dict[str, Any]  # models/model.json
    tensors: dict[str, Tensor]  # parameters, buffers and constants by their names in the program
    texts: dict[str, str]  # extra files: the metadata


def read_archive(path: Path) -> Archive:
    """Reads a file of at most 16 GiB.

    Raises:
        UnreadableFileError: no such file, damaged, or with records that could run code.
    """
    with opened(path, MOST_BYTES) as (descriptor, size), open(descriptor, "rb", closefd=False) as file:
        try:
            _refuse_long_list(descriptor, size)
            with zipfile.ZipFile(file) as archive:
                return _read(archive, size)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # zipfile, json and torch raise a dozen kinds for a damaged archive
            reason = f"no {error}" if isinstance(error, KeyError) else one_line(error)
            raise UnreadableFileError(f"{path.name}: not used: {reason}") from error


def _read(archive: zipfile.ZipFile, size: int) -> Archive:
    records = _records(archive, size)
    if archive.read(records["byteorder"]) != b"little":
        raise ValueError("its bytes are in another order")
    texts = {
        name.removeprefix("extra/"): _text(archive, entry)
        for name, entry in records.items()
        if name.startswith("extra/")
    }
    tensors: dict[str, Tensor] = {}
    for config, folder in ((_WEIGHTS, "data/weights"), (_CONSTANTS, "data/constants")):
        payloads: dict[str, bytearray] = {}  # several tensors may share one
        for name, meta in _json(archive, records[config])["config"].items():
            if meta["use_pickle"] is not False:
                raise ValueError(f"{name} is a pickle, which could run code")
            payload = str(meta["path_name"])
            if not _PAYLOAD.fullmatch(payload):
                raise ValueError(f"{name} is no tensor")
            if payload not in payloads:
                payloads[payload] = bytearray(archive.read(records[f"{folder}/{payload}"]))
            tensors[name] = _tensor(payloads[payload], meta["tensor_meta"])
    return Archive(_json(archive, records[_MODEL]), tensors, texts)


def _records(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Name without the archive's own folder -> record."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.partition("/")[2]
        if not _KNOWN.fullmatch(name):
            raise ValueError(f"it holds {entry.filename[:100]!r}, which is not read")
        if name in found:
            raise ValueError(f"{name} stands twice")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ValueError(f"{name} is compressed or encrypted, which torch.export.save never does")
        found[name] = entry
    # Nothing is compressed, so what is claimed beyond the file's size stands in several records at once.
    if sum(entry.file_size for entry in found.values()) > size:
        raise ValueError("its records are larger than the file")
    return found


def _text(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    if entry.file_size > _LARGEST_TEXT:
        raise ValueError(f"{entry.filename} is too long")
    return archive.read(entry).decode()


def _json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    if entry.file_size > _LARGEST_JSON:
        raise ValueError(f"{entry.filename} is too long")
    return json.loads(archive.read(entry))


def _tensor(payload: bytearray, meta: Mapping[str, Any]) -> Tensor:
    """The tensor that lies in a payload; torch refuses one that would reach beyond it.

    Raises:
        ValueError: it has more values than the payload.
    """
    sizes = [int(value["as_int"]) for value in meta["sizes"]]
    strides = [int(value["as_int"]) for value in meta["strides"]]
    offset = int(meta["storage_offset"]["as_int"])
    dtype = DTYPES[meta["dtype"]]
    if math.prod(sizes) * dtype.itemsize > len(payload):
        raise ValueError("a tensor is larger than what is stored of it")
    flat = torch.frombuffer(payload, dtype=dtype) if payload else torch.empty(0, dtype=dtype)
    return flat.as_strided(sizes, strides, offset)


def _refuse_long_list(descriptor: int, size: int) -> None:
    """`zipfile` reads the whole list of records, which may be millions, before it can be asked."""
    length = _LARGE_END.size + _POINTER_BYTES + _END.size
    tail = os.pread(descriptor, length, max(0, size - length)).rjust(length, b"\0")
    end = _END.unpack(tail[-_END.size :])
    large = _LARGE_END.unpack(tail[: _LARGE_END.size])
    list_bytes = large[8] if large[0] == b"PK\x06\x06" else end[5]
    if end[0] != b"PK\x05\x06" or list_bytes > _LARGEST_LIST:
        raise ValueError("not an archive of torch.export.save")
