"""Whether a written file gives what the model gives, before it is kept."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from bakeoff.deploy.export.graph import output_names
from bakeoff.deploy.export.opened import open_exported
from bakeoff.deploy.export.quiet import quiet
from bakeoff.errors import DataError, RunsDifferError
from bakeoff.models.base import evaluating
from bakeoff.models.detection.detector import Detector

if TYPE_CHECKING:
    from bakeoff.deploy.trained import Trained

MOST_DIFFERENCE = 1e-4  # of a probability, absolute
_MOST_PIXELS = 1e-2  # of an edge of a box
_FEW = (1, 7)  # other sizes of a batch than the one that was traced


@dataclass(frozen=True)
class Agreement:
    """How far a file's probabilities are from the model's own."""

    difference: float  # largest, absolute
    num_images: int
    num_other_class: int  # images whose most probable class is another one


def check_file(trained: "Trained", path: Path, images: UInt8[Tensor, "n c h w"]) -> Agreement:
    """Opens a file as anybody's is opened, and compares it with the model.

    Args:
        trained: the model, in fp32 on the CPU.
        path: the file.
        images: to rate, all at once, and some alone and in another batch.

    Raises:
        RunsDifferError: it does not give the same, with the reason.
    """
    try:
        exported = open_exported(path)
    except DataError as error:
        raise RunsDifferError(f"{trained.run.path}: what was written cannot be opened ({error})") from error
    if exported.output_names != output_names(trained.model) or exported.class_names != trained.class_names:
        raise RunsDifferError(f"{trained.run.path}: the file has other outputs or classes than the model")
    own = trained.probabilities(images)
    for count in (*_FEW, len(images)):
        compare(trained, own[:count], exported.probabilities(images[:count].numpy()))
    if isinstance(trained.model, Detector):
        _compare_boxes(trained, exported.outputs(images.numpy()), images)
    return compare(trained, own, exported.probabilities(images.numpy()))


def check_reloaded(trained: "Trained", content: bytes, images: UInt8[Tensor, "n c h w"]) -> None:
    """Compares what `torch.export.load` makes of a file that this process has just written.

    Raises:
        RunsDifferError: it does not give the same.
    """
    with quiet(), torch.no_grad():
        program = torch.export.load(io.BytesIO(content)).module()
        for count in (*_FEW, len(images)):
            rows = program(images[:count])[0].numpy()
            compare(trained, trained.probabilities(images[:count]), rows)


def compare(trained: "Trained", own: np.ndarray, theirs: np.ndarray) -> Agreement:
    """Probabilities of the same images, float32 [n, classes].

    Raises:
        RunsDifferError: one differs by more than 1e-4, or is no number.
    """
    difference = float(np.abs(own - theirs).max(initial=0.0))
    if not difference <= MOST_DIFFERENCE:  # NaN too
        raise RunsDifferError(
            f"{trained.run.path}: the file's probabilities differ from the model's by up to {difference:.2g} "
            f"on {len(own)} images, more than {MOST_DIFFERENCE:g}; nothing was written"
        )
    others = int((own.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    return Agreement(difference, len(own), others)


def _compare_boxes(trained: "Trained", outputs: list[np.ndarray], images: UInt8[Tensor, "n c h w"]) -> None:
    """Boxes, and their scores, of what a file gives for images.

    Raises:
        RunsDifferError: they are others.
    """
    assert isinstance(trained.model, Detector)
    with evaluating(trained.model):
        found = trained.model.detect(images)
    _, boxes, scores = outputs
    pixels = float(np.abs(found.boxes.numpy() - boxes).max())
    if not pixels <= _MOST_PIXELS:
        raise RunsDifferError(
            f"{trained.run.path}: the file's boxes differ from the model's by up to {pixels:.2g} pixels; "
            "nothing was written"
        )
    compare(trained, found.rows.amax(dim=1, keepdim=True).numpy(), scores[:, None])
