"""What a model says of the images of a split: stored predictions, and scores for choosing weights."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from bakeoff.data.batches import evaluation_batches
from bakeoff.data.splits import Split
from bakeoff.errors import DivergedError, is_out_of_memory
from bakeoff.evaluation import metrics
from bakeoff.evaluation.batch_size import EvaluationBatch
from bakeoff.machine.runtime import Runtime
from bakeoff.machine.signals import check_stop
from bakeoff.models.base import Classifier, evaluating
from bakeoff.runs.records import ValidationScores


@dataclass(frozen=True)
class Predictions:
    """What a model says of a split, in the split's order."""

    index: Int64[np.ndarray, "n"]
    label: Int64[np.ndarray, "n"]
    probabilities: Float32[np.ndarray, "n classes"]
    extra: dict[str, float]  # the model's own scores, means over all images
    batch_size: int = 1  # images at once, which changes the last bits


def predict(
    model: Classifier,
    split: Split,
    runtime: Runtime,
    batch_size: EvaluationBatch | int | None = None,
    *,
    with_own_scores: bool = True,
    rated: Callable[[int], None] = lambda _: None,
    lr: float | None = None,
) -> Predictions:
    """Rates every image of a split. Leaves weights, buffers, mode and generators as they were.

    Args:
        model: rates the images.
        split: what to rate.
        runtime: device and precision.
        batch_size: images at once; None: chosen by memory. Halved when memory runs out.
        with_own_scores: whether the model's own scores are wanted beside its probabilities.
        rated: told of the number of images so far, from the beginning again if memory ran out.
        lr: the highest learning rate of the training, which an error names.

    Raises:
        DivergedError: a probability is not finite.
        InterruptedRunError: a signal came.
        ResourceError: out of memory with a single image.
    """
    if not isinstance(batch_size, EvaluationBatch):
        batch_size = EvaluationBatch(batch_size)
    while (found := _rated(model, split, runtime, batch_size, with_own_scores, rated)) is None:
        pass  # from the beginning, with half as many at once
    rows, sums = found
    if not np.isfinite(rows).all():
        given = "" if lr is None else f"optim.lr={lr:g}: "
        raise DivergedError(
            f"{given}the model's probabilities are not finite; lower optim.lr or set trainer.precision=fp32"
        )
    return Predictions(
        index=np.arange(len(split), dtype=np.int64),
        label=split.labels.cpu().numpy(),
        probabilities=rows,
        extra={name: value / len(split) for name, value in sums.items()},
        batch_size=batch_size.size(model, split, runtime),
    )


def _rated(
    model: Classifier,
    split: Split,
    runtime: Runtime,
    batch_size: EvaluationBatch,
    with_own_scores: bool,
    rated: Callable[[int], None],
) -> tuple[Float32[np.ndarray, "n classes"], dict[str, float]] | None:
    """Probabilities and sums of own scores; None if the memory ran out and the batch was halved."""
    rows: list[Tensor] = []
    sums: dict[str, Tensor] = {}
    done = 0
    try:
        size = batch_size.size(model, split, runtime)
        with evaluating(model):
            for batch in evaluation_batches(split, size, runtime.device):
                check_stop()
                with runtime.autocast():
                    if with_own_scores:
                        probabilities, own = model.rate(batch.images, batch.labels)
                    else:
                        probabilities, own = model.probabilities(batch.images), {}
                rows.append(probabilities)
                for name, value in own.items():
                    sums[name] = sums.get(name, torch.zeros_like(value)) + value
                done += len(batch.labels)  # given to the device; nothing waits for it here
                rated(done)
        # The results come to the host in one piece, at the end.
        return torch.cat(rows).float().cpu().numpy(), {name: float(value) for name, value in sums.items()}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        batch_size.halve(error)
        return None


def validate(
    model: Classifier,
    val: Split,
    runtime: Runtime,
    batch_size: EvaluationBatch | int | None = None,
    rated: Callable[[int], None] = lambda _: None,
    lr: float | None = None,
) -> ValidationScores:
    """Accuracy, macro-F1 and NLL of a split."""
    predictions = predict(model, val, runtime, batch_size, with_own_scores=False, rated=rated, lr=lr)
    num_classes = predictions.probabilities.shape[1]
    scores = metrics.score(predictions.label, predictions.probabilities, [""] * num_classes)
    return ValidationScores(scores.accuracy, scores.macro_f1, scores.nll)
