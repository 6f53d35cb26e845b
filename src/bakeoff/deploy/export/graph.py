"""A trained model as a graph of operators: bytes in, probabilities out, any number of images at once."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bakeoff.deploy.export.quiet import quiet
from bakeoff.errors import ConfigError, is_out_of_memory
from bakeoff.models.base import Classifier
from bakeoff.models.detection.detector import Detector
from bakeoff.text import one_line

if TYPE_CHECKING:
    from bakeoff.deploy.trained import Trained

INPUT = "images"
_IMAGES_TRACED = 4  # neither 0 nor 1, which torch.export takes for constants
_MOST_IMAGES = 65_536


class Preprocessed(nn.Module):
    """What is traced: the model with its own preprocessing, so that a caller has nothing to prepare."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: UInt8[Tensor, "b c h w"]) -> tuple[Float32[Tensor, "b *rest"], ...]:
        """Probabilities; of a detector also the best box of each image and its score."""
        if isinstance(self.model, Detector):
            found = self.model.detect(images)
            return found.rows, found.boxes, found.rows.amax(dim=1)
        return (self.model.probabilities(images),)


def output_names(model: Classifier) -> tuple[str, ...]:
    """What comes out, in order."""
    return ("probabilities", "boxes", "scores") if isinstance(model, Detector) else ("probabilities",)


def traced(trained: "Trained") -> ExportedProgram:
    """The model as a program of torch.export, with a batch of any size.

    Raises:
        ConfigError: torch cannot trace it.
    """
    trained.model.requires_grad_(requires_grad=False)  # nobody trains the program
    images = torch.zeros((_IMAGES_TRACED, *trained.shape), dtype=torch.uint8)
    batch = Dim("batch", min=1, max=_MOST_IMAGES)
    try:
        # Without gradients around it: those that are switched off inside `forward` would become calls of
        # functions, which the formats cannot hold.
        with quiet(), torch.no_grad():
            program = torch.export.export(
                Preprocessed(trained.model).eval(), (images,), dynamic_shapes={INPUT: {0: batch}}
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(
            f"{trained.run.path}: torch cannot trace this network ({type(error).__name__}: "
            f"{one_line(error)}); --format state_dict writes its weights alone"
        ) from error
    _forget_sources(program)
    return program


def _forget_sources(program: ExportedProgram) -> None:
    """Takes out the example images, and of each operator the lines of source with their paths here."""
    program._example_inputs = None
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(key, None)
