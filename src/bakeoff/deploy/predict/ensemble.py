"""One or several runs that rate pictures together: the mean of their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from bakeoff.config.schema import DataConfig
from bakeoff.data.pictures import DecodingBudget
from bakeoff.deploy.predict.pictures import Source, bytes_of
from bakeoff.deploy.trained import Trained, open_trained
from bakeoff.errors import ConfigError
from bakeoff.models.base import Overlay, evaluating
from bakeoff.text import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

# What decides how a picture is read: members that share it see the same bytes.
Reading = tuple[tuple[int, int, int], str, str]


@dataclass(frozen=True)
class Seen:
    """A picture as the members see it."""

    pixels: "Mapping[Reading, UInt8[np.ndarray, 'c h w']]"
    note: str | None  # what was done to it


class Ensemble:
    """Opened runs of the same classes."""

    def __init__(self, members: Sequence[Trained]) -> None:
        self.members = tuple(members)
        self.class_names = members[0].class_names
        for member in members[1:]:
            _check_classes(member, members[0])
        self._budget = DecodingBudget(max(member.config.data.max_megapixels for member in members))
        self._readings = {_reading(member): member for member in members}

    @property
    def bytes_each(self) -> int:
        """What a picture takes in memory once it is read."""
        return sum(int(np.prod(shape)) for shape, _, _ in self._readings)

    def see(self, source: Source, as_is: bool = False) -> Seen:
        """Reads a picture as each member takes it.

        Raises:
            BrokenPictureError: with the reason.
        """
        pixels: dict[Reading, np.ndarray] = {}
        note = None
        for reading, member in self._readings.items():
            picture = bytes_of(source, member.shape, member.config.data, as_is, self._budget)
            pixels[reading] = picture.pixels
            note = note or picture.note
        return Seen(pixels, note)

    def probabilities(self, pictures: Sequence[Seen]) -> Float32[np.ndarray, "n classes"]:
        """The mean over the members; rows sum to at most 1, and what is missing is "no prediction"."""
        total = np.zeros((len(pictures), len(self.class_names)), np.float64)
        for member in self.members:
            rows = member.probabilities(_stacked(pictures, member))
            total += in_order_of(self.class_names, member, rows)
        return (total / len(self.members)).astype(np.float32)

    def overlays(self, pictures: Sequence[Seen]) -> list[Overlay]:
        """What the first member that shows anything shows of its decisions; empty if none does."""
        for member in self.members:
            # In pieces: what explains takes more memory than what answers.
            found: list[Overlay] = []
            for start in range(0, len(pictures), 8):
                images = _stacked(pictures[start : start + 8], member).to(member.runtime.device)
                with evaluating(member.model):
                    found += member.model.explain(images)
            if found:
                return found
        return []

    def shown_pixels(self, picture: Seen) -> UInt8[np.ndarray, "c h w"]:
        """What the first member sees."""
        return picture.pixels[_reading(self.members[0])]


def open_ensemble(paths: Sequence[Path], device: str | None) -> Ensemble:
    """Opens runs.

    Raises:
        ConfigError: they tell other classes apart, one's race or search goes on, or no such device.
        RunsDifferError: one is not finished, or cannot be read.
    """
    return Ensemble([open_trained(path, device) for path in paths])


def _reading(member: Trained) -> Reading:
    data: DataConfig = member.config.data
    return member.shape, data.name, data.fit


def _stacked(pictures: Sequence[Seen], member: Trained) -> UInt8[torch.Tensor, "n c h w"]:
    reading = _reading(member)
    return torch.from_numpy(np.stack([picture.pixels[reading] for picture in pictures]))


def in_order_of(
    class_names: Sequence[str], member: Trained, rows: Float32[np.ndarray, "n classes"]
) -> Float32[np.ndarray, "n classes"]:
    """A member's probabilities with its classes in the order of these, which are the same."""
    return rows[:, [member.class_names.index(name) for name in class_names]]


def _check_classes(member: Trained, first: Trained) -> None:
    if set(member.class_names) != set(first.class_names):
        own, wanted = (printable(shortened(one.class_names)) for one in (member, first))
        raise ConfigError(
            f"{member.run.path}: has the classes {own}, and {first.run.path} {wanted}; runs that answer "
            "together need the same classes"
        )
