"""A few images of a data set, for quick test runs (`trainer.overfit_batches`)."""

import numpy as np
import torch

from bakeoff.data.selection import stratified_count
from bakeoff.data.splits import DataSet, Split, TensorSplit


def few_images(dataset: DataSet, count: int) -> DataSet:
    """Trains and validates on the same `count` images and tests on as many, each class in proportion.

    The test images are fewer than the data set's own, so their fingerprint is another one and no
    comparison mixes them with real results.
    """
    train = _few(dataset.train, count)
    test = _few(dataset.test, count)
    note = (
        f"trainer.overfit_batches: trains and validates on the same {len(train)} images, without "
        f"augmentation, and tests on {len(test)}: a quick test run, its scores mean nothing"
    )
    return DataSet(dataset.name, dataset.class_names, train, train, test, (*dataset.notes, note))


def _few(split: Split, count: int) -> TensorSplit:
    labels = split.labels.cpu().numpy()
    positions = np.arange(len(labels))
    if count < len(labels):
        positions = stratified_count(labels, count, count / len(labels))[1]
    chosen = torch.from_numpy(positions).to(split.device)
    return TensorSplit(split.images(chosen), split.labels.index_select(0, chosen))
