"""What a finished run keeps for reports: test images, and what its model shows of its decisions.

A report shows the most confident mistakes of each run, and a sample that is the same for all runs.
"""

from pathlib import Path

import numpy as np
import torch

from bakeoff.data.splits import Split
from bakeoff.evaluation.prediction import Predictions
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import Classifier, Overlay, evaluating
from bakeoff.plots.figures import most_confident_mistakes
from bakeoff.plots.overlays import some_of_each_class
from bakeoff.runs.explanations import MOST_BOXES, Explanation, write_explanations
from bakeoff.runs.kept_images import keep_images, scaled_down, write_test_images
from bakeoff.runs.rundir import RunDir

_LARGEST_SIDE_OF_ALL = 32  # pixels; of larger test images only some are kept
_NUM_MISTAKES, _NUM_SAMPLE = 40, 40
_MISTAKES_EXPLAINED, _SAMPLE_EXPLAINED = 24, 20
_EXPLAINED_AT_ONCE = 24


def keep_test_images(output_dir: Path, test_hash: str, test: Split, predictions: Predictions) -> None:
    """Keeps all test images if they are small, else those that a report may show."""

    def pixels(places: list[int]) -> np.ndarray:
        return _images(test, places).cpu().numpy()

    if max(pixels([0]).shape[2:]) <= _LARGEST_SIDE_OF_ALL:
        images, labels = test.as_arrays()
        write_test_images(output_dir, test_hash, images, labels)
    else:
        keep_images(output_dir, test_hash, _shown(predictions, _NUM_MISTAKES, _NUM_SAMPLE), pixels)


def keep_explanations(
    run: RunDir, model: Classifier, test: Split, predictions: Predictions, runtime: Runtime
) -> None:
    """Writes what a model shows of its decisions; nothing for a model that has nothing to show."""
    chosen = _shown(predictions, _MISTAKES_EXPLAINED, _SAMPLE_EXPLAINED)
    at_once = min(_EXPLAINED_AT_ONCE, predictions.batch_size)  # no more than memory allowed before
    found: dict[int, Explanation] = {}
    for start in range(0, len(chosen), at_once):
        some = chosen[start : start + at_once]
        images = _images(test, some).to(runtime.device)
        with evaluating(model):
            overlays = model.explain(images)
        if overlays:
            height, width = images.shape[2:]
            made = (_explanation(one, height, width) for one in overlays)
            found |= zip(some, made, strict=True)
    if found:
        write_explanations(run, found)


def _shown(predictions: Predictions, num_mistakes: int, num_sample: int) -> list[int]:
    """Positions of the images that a report may show of a run, each once."""
    mistakes = most_confident_mistakes(predictions, num_mistakes)
    sample = some_of_each_class(predictions.label, num_sample)
    return list(dict.fromkeys([*mistakes.tolist(), *sample.tolist()]))


def _images(test: Split, places: list[int]) -> torch.Tensor:
    return test.images(torch.tensor(places, device=test.device))


def _explanation(overlay: Overlay, height: int, width: int) -> Explanation:
    """As it is stored: a smaller map, and the boxes with the highest scores."""
    best = sorted(range(len(overlay.box_scores)), key=lambda box: -overlay.box_scores[box])[:MOST_BOXES]
    return Explanation(
        title=overlay.title,
        heat=None if overlay.heat is None else scaled_down(overlay.heat.float().cpu().numpy()),
        boxes=overlay.boxes.float().cpu().numpy().reshape(-1, 4)[best],
        box_labels=[overlay.box_labels[box] for box in best],
        box_scores=[float(overlay.box_scores[box]) for box in best],
        true_box=None if overlay.true_box is None else overlay.true_box.float().cpu().numpy(),
        width=width,
        height=height,
    )
