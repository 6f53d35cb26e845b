"""Images to check an exported file with: test images of the run where they are at hand."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from bakeoff.data.sets import find_set
from bakeoff.deploy.finished import stored_hash
from bakeoff.deploy.with_data import prepared_with_data
from bakeoff.errors import ConfigError, DataError
from bakeoff.runs.kept_images import kept_images
from bakeoff.runs.paths import data_root_here

if TYPE_CHECKING:
    from bakeoff.deploy.trained import Trained

NUM_IMAGES = 256
Found = tuple[UInt8[Tensor, "n c h w"], str]


def images_for_check(trained: "Trained", data_root: str | None = None) -> Found:
    """256 images of the size that goes in, and what they are.

    Those kept beside the runs come first, since they are read in no time; then the data, then random bytes.

    Args:
        trained: the model.
        data_root: folder of the data, which is then read; None: where they are on this machine.

    Raises:
        ConfigError, DataError: `data_root` does not hold the run's data.
    """
    if data_root is None and (kept := _kept(trained)) is not None:
        return kept
    if data_root is not None or _data_are_here(trained):
        try:
            test = prepared_with_data(trained.run, "cpu", data_root).data.test
            images = test.images(torch.arange(min(NUM_IMAGES, len(test)), device=test.device))
            return images.cpu(), f"{len(images)} test images"
        except (ConfigError, DataError):
            if data_root is not None:
                raise
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (NUM_IMAGES, *trained.shape), generator=noise, dtype=torch.uint8)
    return images, f"{NUM_IMAGES} images of random bytes, as the run's test images are not here (--data-root)"


def _kept(trained: "Trained") -> Found | None:
    """Of those kept for reports the ones in their full size; None where they are few."""
    test_hash = stored_hash(trained.run, "test_split")
    if not isinstance(test_hash, str):
        return None
    channels, height, width = trained.shape
    wanted = range(min(NUM_IMAGES, int(trained.run.summary["test"]["num_images"])))
    found = kept_images(trained.run.path, test_hash, wanted)
    images = [found[index] for index in wanted if index in found]
    if len(images) < len(wanted) or any(image.shape != (height, width, channels) for image in images):
        return None
    rows = np.stack(images).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(rows)), f"{len(images)} test images"


def _data_are_here(trained: "Trained") -> bool:
    """Whether the data can be read without fetching them."""
    data = trained.config.data
    try:
        root = data_root_here(data.name, data.root)
        source = find_set(data.name).SOURCE
    except (ConfigError, DataError):
        return False
    return source is None or source.is_complete(root)
