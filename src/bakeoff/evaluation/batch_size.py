"""How many images go through a model at once when it is evaluated.

In evaluation there is no gradient, so a batch can be much larger than in training, and should be; but
one layer of VGG16 at 224 pixels takes 25 MB for an image. The number changes no result but the last
bits of a probability.
"""

from collections.abc import Callable

import torch
from jaxtyping import UInt8
from torch import Tensor

from bakeoff.data.splits import Split
from bakeoff.errors import ResourceError
from bakeoff.machine.memory import LiveBytes, available_memory_bytes
from bakeoff.machine.runtime import Runtime
from bakeoff.models.base import Classifier, evaluating
from bakeoff.text import one_line

MOST_IMAGES = 512  # more are not faster, on a CPU or on a GPU
_IMAGES_MEASURED = 8
# Kernels need room of their own: convolutions reorder what goes in and what comes out.
_ROOM_FOR_KERNELS = 2
# Of what is available, so that others find some too.
_SHARE_OF_AVAILABLE = 0.5


class EvaluationBatch:
    """The number of images, chosen once for a run: by `trainer.eval_batch_size`, or else by memory.

    On a CPU too large a batch is often no error but the end of the process, so that number is chosen to
    fit; where an allocator does refuse, it is halved.
    """

    def __init__(self, asked: int | None = None, say: Callable[[str], None] = print) -> None:
        self._size = asked
        self._say = say

    @property
    def chosen(self) -> int | None:
        """The number once it is known."""
        return self._size

    def size(self, model: Classifier, split: Split, runtime: Runtime) -> int:
        """Images at once; without a number that was asked for, all runs a few through the model first."""
        if self._size is None:
            self._size = _IMAGES_MEASURED  # what to halve if even they are too many
            self._size = _fitting(model, split, runtime)
            if self._size < min(MOST_IMAGES, len(split)):
                self._say(
                    f"evaluation takes {self._size} images at once, as memory allows; "
                    "trainer.eval_batch_size sets another number"
                )
        return self._size

    def halve(self, error: BaseException) -> None:
        """After the memory ran out.

        Raises:
            ResourceError: one image alone is too much.
        """
        assert self._size is not None
        if self._size == 1:
            raise ResourceError(
                f"trainer.eval_batch_size=1: out of memory with a single image ({one_line(error)[:160]}); "
                "choose a smaller model or smaller images, or a device with more memory"
            ) from error
        self._size //= 2
        self._say(
            f"evaluation ran out of memory with {2 * self._size} images at once: going on with {self._size} "
            f"(trainer.eval_batch_size={self._size} would begin with them)"
        )


def fits(count: int, model: Classifier, split: Split, runtime: Runtime) -> bool:
    """Whether so many images at once leave memory for others."""
    return _fitting(model, split, runtime) >= count


def _fitting(model: Classifier, split: Split, runtime: Runtime) -> int:
    """The largest power of two, at most 512, that leaves memory for others. Powers change rarely."""
    available = available_memory_bytes(runtime.device)
    if available is None:
        return MOST_IMAGES
    needed = _ROOM_FOR_KERNELS * bytes_per_image(model, split, runtime)
    fit = int(_SHARE_OF_AVAILABLE * available / max(1.0, needed))
    return min(MOST_IMAGES, 1 << (fit.bit_length() - 1)) if fit else 1


def bytes_per_image(model: Classifier, split: Split, runtime: Runtime) -> float:
    """The most that tensors between the layers take at one time, for one image.

    Measured with a few images of noise, not with the split's own: some are test images.
    """
    count = _IMAGES_MEASURED
    shape = (count, *split.images(torch.arange(1, device=split.device)).shape[1:])
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8).to(runtime.device)
    return _peak_bytes(model, images, runtime) / count


def _peak_bytes(model: Classifier, images: UInt8[Tensor, "b c h w"], runtime: Runtime) -> int:
    with evaluating(model), LiveBytes([*model.parameters(), *model.buffers()]) as live, runtime.autocast():
        model.probabilities(images)
    return live.peak + images.nbytes
