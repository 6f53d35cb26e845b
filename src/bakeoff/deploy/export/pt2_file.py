"""A .pt2 file of bakeoff as a model: its records read, its operators checked, its outputs as promised."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from bakeoff.deploy.export.metadata import Metadata, from_entries
from bakeoff.deploy.export.pt2_archive import read_archive
from bakeoff.deploy.export.pt2_graph import Program
from bakeoff.runs.reading import UnreadableFileError
from bakeoff.text import one_line

_NAMES = ("probabilities", "boxes", "scores")
_IMAGES_TRIED = 3


@dataclass(frozen=True)
class Pt2Model:
    """A checked program, on the CPU."""

    metadata: Metadata
    program: Program
    output_names: tuple[str, ...]
    threads: int | None

    def outputs(self, images: UInt8[np.ndarray, "b c h w"]) -> list[np.ndarray]:
        """What comes out, in the order of `output_names`."""
        with _threads(self.threads):
            found = self.program.outputs(torch.tensor(images))
        return [rows.numpy() for rows in found]


def read_pt2(path: Path, threads: int | None) -> Pt2Model:
    """Opens a file and lets shapes pass through its operators, so that nothing is computed yet.

    Args:
        path: the file.
        threads: for an operator, while it is called; None: those of the process.

    Raises:
        UnreadableFileError: no such file, damaged, or with parts that are not run.
    """
    archive = read_archive(path)
    try:
        metadata = from_entries(archive.texts)
        program = Program(archive)
        images = torch.empty((_IMAGES_TRIED, *metadata.shape), dtype=torch.uint8, device="meta")
        shapes = [tuple(rows.shape) for rows in program.outputs(images)]
    except MemoryError:
        raise
    except Exception as error:  # torch raises a dozen kinds for what an operator cannot take
        reason = f"no {error}" if isinstance(error, KeyError) else one_line(error)
        raise UnreadableFileError(f"{path.name}: not used: {reason}") from error
    expected = [(_IMAGES_TRIED, len(metadata.class_names)), (_IMAGES_TRIED, 4), (_IMAGES_TRIED,)]
    if shapes not in (expected[:1], expected):
        raise UnreadableFileError(f"{path.name}: not used: its outputs have the shapes {str(shapes)[:80]}")
    return Pt2Model(metadata, program, _NAMES[: len(shapes)], threads)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """So many threads for torch's operators within it."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
