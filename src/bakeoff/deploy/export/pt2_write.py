"""A traced program as a file of torch.export, preprocessing included."""

import io

import torch
from torch.export import ExportedProgram

from bakeoff.deploy.export.metadata import Metadata
from bakeoff.deploy.export.quiet import quiet


def to_pt2(program: ExportedProgram, metadata: Metadata) -> bytes:
    """What `torch.export.load` reads; the metadata are its extra files."""
    content = io.BytesIO()
    with quiet():
        torch.export.save(program, content, extra_files=metadata.entries())
    return content.getvalue()
