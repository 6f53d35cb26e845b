"""What can be measured: a finished run, or a file that was exported from one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import UInt8
from torch import Tensor

from bakeoff.deploy.export.opened import Exported, open_exported
from bakeoff.deploy.trained import Trained, open_trained
from bakeoff.models.base import evaluating
from bakeoff.runs.measurements import BAKEOFF

if TYPE_CHECKING:
    from bakeoff.machine.runtime import Runtime

Call = Callable[[], object]
_CPU = torch.device("cpu")


@runtime_checkable
class Opened(Protocol):
    """A model in memory, ready to rate images."""

    @property
    def engine(self) -> str:
        """Who computes: bakeoff, onnx or pt2."""

    @property
    def run_id(self) -> str:
        """The run that was trained."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def precision(self) -> str:
        """What it computes in."""

    def rates(self, count: int) -> Call:
        """A call that rates so many images, and ends when their probabilities are there."""


@dataclass(frozen=True)
class OpenedRun:
    """A run's own model. Its calls go from bytes on the device to probabilities there, as in a summary."""

    trained: Trained
    engine: str = BAKEOFF

    @property
    def run_id(self) -> str:
        """As the summary has it."""
        return str(self.trained.run.summary.get("run_id"))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the images that it was trained on."""
        return self.trained.shape

    @property
    def device(self) -> torch.device:
        """Its runtime's."""
        return self.trained.runtime.device

    @property
    def precision(self) -> str:
        """Its runtime's."""
        return self.trained.runtime.precision

    def rates(self, count: int) -> Call:
        """Rates bytes that lie on the device."""
        runtime: Runtime = self.trained.runtime
        images = noise(count, self.shape).to(runtime.device)

        def call() -> None:
            with evaluating(self.trained.model), runtime.autocast():
                self.trained.model.probabilities(images)
            runtime.synchronize()

        return call


@dataclass(frozen=True)
class OpenedFile:
    """An exported file with its own threads. Its calls go from bytes on the host to probabilities there."""

    exported: Exported
    device: torch.device = _CPU
    precision: str = "fp32"

    @property
    def engine(self) -> str:
        """The file's format names who runs it."""
        return self.exported.format

    @property
    def run_id(self) -> str:
        """As the file says, which may be anybody's."""
        return self.exported.run_id

    @property
    def shape(self) -> tuple[int, int, int]:
        """As the file says."""
        return self.exported.shape

    def rates(self, count: int) -> Call:
        """Rates bytes in an array."""
        images = noise(count, self.shape).numpy()
        return lambda: self.exported.probabilities(images)


def noise(count: int, shape: tuple[int, int, int]) -> UInt8[Tensor, "count c h w"]:
    """Images of noise, the same in each call: no image of a test set is needed, and none is looked at."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)


@dataclass(frozen=True)
class Subject:
    """What a word of the command line names, before it is opened."""

    path: Path
    is_file: bool

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.path.name

    def opened(self, threads: int, device: str | None) -> Opened:
        """Opens it. A file's engine has its threads from its opening on; a run's are the process's.

        Raises:
            BakeoffError: it cannot be used, with the reason.
        """
        if self.is_file:
            return OpenedFile(open_exported(self.path, threads=threads))
        return OpenedRun(open_trained(self.path, device, threads=threads))
