"""What a finished run keeps for reports: test images.

A report shows the most confident mistakes of each run, and a sample that is the same for all runs.
"""

from pathlib import Path

import numpy as np
import torch

from bakeoff.data.splits import Split
from bakeoff.evaluation.prediction import Predictions
from bakeoff.plots.figures import most_confident_mistakes
from bakeoff.plots.overlays import some_of_each_class
from bakeoff.runs.kept_images import keep_images, write_test_images

_LARGEST_SIDE_OF_ALL = 32  # pixels; of larger test images only some are kept
_NUM_MISTAKES, _NUM_SAMPLE = 40, 40


def keep_test_images(output_dir: Path, test_hash: str, test: Split, predictions: Predictions) -> None:
    """Keeps all test images if they are small, else those that a report may show."""

    def pixels(places: list[int]) -> np.ndarray:
        return _images(test, places).cpu().numpy()

    if max(pixels([0]).shape[2:]) <= _LARGEST_SIDE_OF_ALL:
        images, labels = test.as_arrays()
        write_test_images(output_dir, test_hash, images, labels)
    else:
        keep_images(output_dir, test_hash, _shown(predictions, _NUM_MISTAKES, _NUM_SAMPLE), pixels)


def _shown(predictions: Predictions, num_mistakes: int, num_sample: int) -> list[int]:
    """Positions of the images that a report may show of a run, each once."""
    mistakes = most_confident_mistakes(predictions, num_mistakes)
    sample = some_of_each_class(predictions.label, num_sample)
    return list(dict.fromkeys([*mistakes.tolist(), *sample.tolist()]))


def _images(test: Split, places: list[int]) -> torch.Tensor:
    return test.images(torch.tensor(places, device=test.device))
