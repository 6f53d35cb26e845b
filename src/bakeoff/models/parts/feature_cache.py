"""What frozen layers say of each training image, computed once and looked up in later epochs."""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from bakeoff.data.batches import Batch


class FeatureCache:
    """Rows of features by `Batch.indices`, on the device of the first batch.

    It is part of a training's state: a deep copy takes it along. Whether all images have been seen is
    asked at the beginning of an epoch only, so that no step reads the device.
    """

    def __init__(self, num_images: int) -> None:
        self.num_images = num_images
        self.num_computed = 0  # images that went through the frozen layers, repeats included
        self._complete = False
        self._rows: Tensor | None = None
        self._seen: Tensor | None = None

    def start_epoch(self) -> None:
        """Finds out whether this epoch can do without the frozen layers."""
        # The host waits for the device here, once an epoch.
        self._complete = self._seen is not None and bool(self._seen.all())

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def features(
        self, batch: Batch, compute: Callable[[UInt8[Tensor, "b c h w"]], Float[Tensor, "b *shape"]]
    ) -> Float[Tensor, "b *shape"]:
        """Computes and keeps the features of a batch, or looks them up."""
        if self._complete:
            assert self._rows is not None
            return self._rows.index_select(0, batch.indices)
        rows = compute(batch.images)
        self.num_computed += len(rows)
        if self._rows is None or self._seen is None:
            # As computed, so in bf16 under autocast: looking up gives the same bits.
            self._rows = rows.new_zeros((self.num_images, *rows.shape[1:]))
            self._seen = torch.zeros(self.num_images, dtype=torch.bool, device=rows.device)
        self._rows.index_copy_(0, batch.indices, rows.detach())
        self._seen.index_fill_(0, batch.indices, True)  # noqa: FBT003 - the value to fill with
        return rows
