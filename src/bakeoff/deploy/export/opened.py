"""An exported file opened for use. It may be anybody's: nothing in it is executed but checked operators."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from bakeoff.deploy.export import extra
from bakeoff.deploy.export.metadata import Metadata
from bakeoff.errors import DataError, ResourceError, is_out_of_memory
from bakeoff.machine.process import loading_torch
from bakeoff.runs.reading import UnreadableFileError, opened
from bakeoff.text import one_line, printable

FORMATS = {".onnx": "onnx", ".pt2": "pt2"}
_IMAGES_AT_ONCE = 256
_MOST_BYTES = 2**34
_ROUNDING = 1e-5
_ZIP = b"PK\x03\x04"


@runtime_checkable
class _Model(Protocol):
    @property
    def output_names(self) -> tuple[str, ...]: ...

    def outputs(self, images: UInt8[np.ndarray, "b c h w"]) -> list[np.ndarray]: ...


@dataclass(frozen=True)
class Exported:
    """A model in a file: bytes of images in, probabilities out, on the CPU."""

    path: Path
    format: str  # onnx or pt2
    metadata: Metadata
    _model: _Model = field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.metadata.class_names

    @property
    def run_id(self) -> str:
        """The run whose weights these are, as the file says."""
        return self.metadata.run_id

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""
        return self.metadata.shape

    @property
    def output_names(self) -> tuple[str, ...]:
        """`probabilities`, and what a detector gives beside them: `boxes`, `scores`."""
        return self._model.output_names

    def probabilities(self, images: UInt8[np.ndarray, "n c h w"]) -> Float32[np.ndarray, "n classes"]:
        """Rates images of `shape`, as many as there are.

        Raises:
            DataError: the file's operators fail.
            ResourceError: not enough memory.
        """
        return self.outputs(images)[0]

    def outputs(self, images: UInt8[np.ndarray, "n c h w"]) -> list[np.ndarray]:
        """All that comes out, in the order of `output_names`, with a row for each image."""
        starts = range(0, max(1, len(images)), _IMAGES_AT_ONCE)
        parts = [self._outputs(images[start : start + _IMAGES_AT_ONCE]) for start in starts]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    def _outputs(self, images: UInt8[np.ndarray, "b c h w"]) -> list[np.ndarray]:
        """Of a batch; graphs are traced for one image or more, so nothing goes in as a single one."""
        count = len(images)
        if images.shape[1:] != self.shape:
            raise ValueError(f"images of {images.shape[1:]}, not {self.shape}")
        given = images if count else np.zeros((1, *self.shape), np.uint8)
        try:
            found = self._model.outputs(np.ascontiguousarray(given))
        except Exception as error:  # what operators raise, of two libraries
            if is_out_of_memory(error):
                raise ResourceError(
                    f"{self.path}: out of memory ({one_line(error)[:160]}); close other programs"
                ) from error
            raise DataError(f"{self.path}: its operators fail ({printable(one_line(error))})") from error
        if found[0].shape != (max(1, count), len(self.class_names)) or found[0].dtype != np.float32:
            raise DataError(f"{self.path}: its outputs are not those of a model of bakeoff; export it again")
        if not _are_probabilities(found[0]):
            raise DataError(f"{self.path}: what it gives are no probabilities (0 to 1, at most 1 together)")
        return [rows[:count] for rows in found]


def _are_probabilities(rows: Float32[np.ndarray, "b classes"]) -> bool:
    """As a run's own are held to be; NaN is none."""
    return bool(
        (rows >= 0).all() and (rows <= 1 + _ROUNDING).all() and (rows.sum(axis=1) <= 1 + _ROUNDING).all()
    )


def open_exported(path: Path, *, threads: int | None = None) -> Exported:
    """Opens an ONNX or .pt2 file that `bakeoff export` has written; its content says which it is.

    Args:
        path: the file.
        threads: of the CPU for an operator; None: as the library chooses.

    Raises:
        ConfigError: it is ONNX, and the extra `onnx` is not installed.
        DataError: no such file, not one of these, damaged, or with parts that are not run.
    """
    place = path.resolve()  # a link of the user's own is followed
    try:
        with opened(place, _MOST_BYTES) as (descriptor, _):
            is_archive = os.pread(descriptor, len(_ZIP), 0) == _ZIP
        if is_archive:
            with loading_torch():
                from bakeoff.deploy.export.pt2_file import read_pt2

            found = read_pt2(place, threads)
            return Exported(path, "pt2", found.metadata, found)
        extra.check_installed()
        from bakeoff.deploy.export.onnx_file import read_onnx

        model = read_onnx(place, threads)
        return Exported(path, "onnx", model.metadata, model)
    except UnreadableFileError as error:
        name, _, reason = str(error).partition(": ")
        raise DataError(
            f"{path.parent / name}: {printable(reason)}; give a file that bakeoff export has written"
        ) from error
