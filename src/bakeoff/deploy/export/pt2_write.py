"""A traced program as a file of torch.export, preprocessing included."""

from typing import IO

import torch
from torch.export import ExportedProgram

from bakeoff.deploy.export.metadata import Metadata
from bakeoff.deploy.export.quiet import quiet


def write_pt2(program: ExportedProgram, metadata: Metadata, file: IO[bytes]) -> None:
    """Writes what `torch.export.load` reads; the metadata are its extra files."""
    with quiet():
        torch.export.save(program, file, extra_files=metadata.entries())
