"""That shapes and dtypes are checked at all: one wrong array for each room under the checker."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from bakeoff.comparison.statistics.noise import noise_of
from bakeoff.data.augment import shifts_in_pixels
from bakeoff.evaluation.metrics import confusion
from bakeoff.models.detection.boxes import ink_boxes
from bakeoff.training.scaling import LossScale


@pytest.mark.parametrize(
    "call",
    [
        lambda: noise_of(np.zeros(3)),
        lambda: noise_of(np.zeros((2, 3), dtype=np.int64)),  # type: ignore[arg-type]
        lambda: shifts_in_pixels(torch.zeros(3), 1),
        lambda: confusion(np.zeros(3, dtype=np.int64), np.zeros(4, dtype=np.int64), 2),
        lambda: ink_boxes(torch.zeros((1, 1, 4, 4))),
        lambda: LossScale.start(torch.device("cpu")).update(torch.zeros(2, dtype=torch.bool)),
    ],
)
def test_a_wrong_shape_or_dtype_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(TypeCheckError):
        call()
