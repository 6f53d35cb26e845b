"""Runs that rate the images they were tested on, alone and as an ensemble."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bakeoff.comparison.statistics.classical import wilson
from bakeoff.deploy.finished import finished_run, refuse_sealed, stored_hash
from bakeoff.deploy.predict.ensemble import Ensemble, in_order_of
from bakeoff.deploy.with_data import prepared_with_data
from bakeoff.errors import ConfigError
from bakeoff.evaluation import metrics
from bakeoff.runs.records import SplitScores

_AT_ONCE = 2048


@dataclass(frozen=True)
class Scored:
    """Test scores of one run, or of several together."""

    name: str
    scores: SplitScores

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy: the luck of which images were drawn."""
        return wilson(self.scores.accuracy, self.scores.num_images)


def check_same_test(paths: Sequence[Path]) -> None:
    """Before anything is loaded.

    Raises:
        ConfigError: the runs were tested on different images.
        RunsDifferError: one is not finished.
    """
    hashes = []
    for path in paths:
        refuse_sealed(path)
        hashes.append(stored_hash(finished_run(path, "evaluated"), "test_split"))
    for path, found in zip(paths, hashes, strict=True):
        if found != hashes[0]:
            raise ConfigError(
                f"{path}: was tested on other images than {paths[0]}; --evaluate needs runs of one data set"
            )


def scored(
    ensemble: Ensemble, device: str | None, data_root: str | None, rated: Callable[[int], None]
) -> list[Scored]:
    """Each member's scores, then those of all together if there are several.

    Raises:
        DataError: the data are not here, or their test images are not those of the run.
    """
    first = ensemble.members[0].run
    test = prepared_with_data(first, device, data_root).data.test
    names, labels = ensemble.class_names, test.labels.cpu().numpy()
    found, total, done = [], np.zeros((len(labels), len(names))), 0
    for member in ensemble.members:
        rows = []
        for start in range(0, len(labels), _AT_ONCE):
            indices = torch.arange(start, min(start + _AT_ONCE, len(labels)), device=test.device)
            rows.append(member.probabilities(test.images(indices)))
            done += len(indices)
            rated(done)
        ordered = in_order_of(names, member, np.concatenate(rows))
        total += ordered
        found.append(Scored(member.run.path.name, metrics.score(labels, ordered, names)))
    if len(ensemble.members) > 1:
        mean = (total / len(ensemble.members)).astype(np.float32)
        found.append(Scored(f"all {len(ensemble.members)} together", metrics.score(labels, mean, names)))
    return found
