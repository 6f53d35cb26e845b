"""What every detector that serves as a classifier does with its boxes, whoever finds them."""

from abc import abstractmethod
from typing import Any

from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from bakeoff.models.base import Classifier, Overlay, TaskSpec
from bakeoff.models.detection import boxes as box_ops
from bakeoff.models.detection.answers import Detections, overlap_scores, overlays


class Detector(Classifier):
    """A classifier that answers with the best-scoring box of each image."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__()
        self.config, self.task = config, task
        # `auto` goes by the data set.
        self.uses_ink = config.boxes == "ink" or (config.boxes == "auto" and task.has_ink)
        where = "drawn tightly around each object" if self.uses_ink else "the whole picture"
        self.notes = (f"box labels: {where}",)

    @abstractmethod
    def detect(self, images: UInt8[Tensor, "b c h w"]) -> Detections:
        """The best-scoring box of each image."""

    def probabilities(self, images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b classes"]:
        """Softmax of the best-scoring box, not renormalised; zeros where there is none."""
        return self.detect(images).rows

    def true_boxes(self, images: UInt8[Tensor, "b c h w"]) -> Float32[Tensor, "b 4"]:
        """What an image's object is: its ink, or all of it."""
        return box_ops.ink_boxes(images) if self.uses_ink else box_ops.image_boxes(images)

    def extra_scores(
        self, images: UInt8[Tensor, "b c h w"], labels: Int64[Tensor, "b"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Overlap of the best box with the true one (0 without a box), and images without a box."""
        del labels
        return overlap_scores(self.detect(images), self.true_boxes(images))

    def rate(
        self, images: UInt8[Tensor, "b c h w"], labels: Int64[Tensor, "b"]
    ) -> tuple[Float32[Tensor, "b classes"], dict[str, Float[Tensor, ""]]]:
        """Both of the same boxes, which are looked for once."""
        del labels
        found = self.detect(images)
        return found.rows, overlap_scores(found, self.true_boxes(images))

    def explain(self, images: UInt8[Tensor, "b c h w"]) -> list[Overlay]:
        """The best box of each image with its class and score, and the box around the ink."""
        found = overlays(self.detect(images), self.task.class_names)
        if not self.uses_ink:
            return found
        true = self.true_boxes(images).cpu()
        return [one._replace(true_box=box) for one, box in zip(found, true, strict=True)]
