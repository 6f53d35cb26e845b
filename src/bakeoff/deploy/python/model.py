"""A finished run as a model for Python and notebooks."""

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from bakeoff.deploy.predict.answers import NO_INK
from bakeoff.deploy.python.borrowed import short_errors, torch_settings_kept
from bakeoff.deploy.python.run import FinishedRun, run_path
from bakeoff.deploy.trained import Trained, open_trained
from bakeoff.errors import DataError
from bakeoff.evaluation.metrics import answers
from bakeoff.text import percent, printable

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from bakeoff.deploy.predict.pictures import Picture

    Pictures = Image | str | Path | Iterable[Image | str | Path]

_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        label: the name of the most probable class; None without a prediction.
        probability: of that class, 0 to 1; 0 without a prediction.
        top: all classes with their probabilities, the most probable first.
        note: what was done to the picture before, such as "inverted and centred".
    """

    label: str | None
    probability: float
    top: list[tuple[str, float]]
    note: str | None = None


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """Predictions in the order of the images; in a notebook they are shown as a table."""

    class_names: tuple[str, ...]
    probabilities: Float32[np.ndarray, "n classes"]
    notes: tuple[str | None, ...]
    names: tuple[str | None, ...]  # of the pictures' files

    @cached_property
    def labels(self) -> list[str | None]:
        """The name of the most probable class of each image; None without a prediction."""
        named = (*self.class_names, None)  # by -1
        return [named[answer] for answer in answers(self.probabilities).tolist()]

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each image."""
        import pandas as pd

        return pd.DataFrame(
            {
                **({"picture": pd.array(self.names, dtype="string")} if any(self.names) else {}),
                "predicted": pd.array(self.labels, dtype="string"),
                "probability": self.probabilities.max(axis=1, initial=0.0),
                "note": pd.array(self.notes, dtype="string"),
            }
        )

    def __len__(self) -> int:
        return len(self.probabilities)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...

    @overload
    def __getitem__(self, index: slice) -> "Predictions": ...

    def __getitem__(self, index: int | slice) -> "Prediction | Predictions":
        if isinstance(index, slice):
            rows, notes, names = self.probabilities[index], self.notes[index], self.names[index]
            return Predictions(self.class_names, rows, notes, names)
        row = self.probabilities[index]
        order = np.argsort(-row, kind="stable")
        top = [(self.class_names[place], float(row[place])) for place in order]
        label = self.labels[index]
        return Prediction(label, 0.0 if label is None else top[0][1], top, self.notes[index])

    def __iter__(self) -> Iterator[Prediction]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        told = (
            "no prediction"
            if one.label is None
            else f"{one.label} ({percent(one.probability)}{f', {NO_INK}' if one.note == NO_INK else ''})"
            for one in self
        )
        return printable(f"[{', '.join(told)}]")

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=True, na_rep="", escape=True))


class Model:
    """What a run has trained, ready to rate images.

    Attributes:
        class_names: in the order of the probabilities.
    """

    def __init__(self, trained: Trained) -> None:
        self._trained = trained
        self.class_names = trained.class_names

    @property
    def path(self) -> Path:
        """Its run directory."""
        return self._trained.run.path

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it was trained on."""
        return self._trained.shape

    @short_errors
    def predict(
        self,
        images: "Tensor | np.ndarray | Pictures",
        *,
        as_is: bool = False,
    ) -> Predictions:
        """Rates images.

        Args:
            images: bytes as the data set has them (uint8, `shape` or several of it; grey ones may leave their
                channel out, of colour ones it may come last), or pictures of any size and colour: paths, or
                pictures of Pillow.
            as_is: of a model of digits: leave photographs as they are, dark on light and off the centre.

        Returns:
            A prediction for each image, in their order.

        Raises:
            DataError: of another shape or type, or a picture that cannot be read.
        """
        with torch_settings_kept():
            if isinstance(images, Tensor | np.ndarray):
                pixels = self._pixels(images)
                notes: list[str | None] = [None] * len(pixels)
                names = notes
            else:
                pixels, notes, names = self._read(images, as_is=as_is)
            self._trained.set_up_again()
            rows = self._trained.probabilities(pixels)
        return Predictions(self.class_names, rows, tuple(notes), tuple(names))

    @short_errors
    def prepare(self, pictures: "Pictures", *, as_is: bool = False) -> UInt8[np.ndarray, "n c h w"]:
        """Pictures as the arrays that the model, and an exported file of it, takes.

        Args:
            pictures: paths, or pictures of Pillow.
            as_is: as in `predict`.

        Raises:
            DataError: a picture that cannot be read.
        """
        return self._read(pictures, as_is=as_is)[0].numpy()

    def _pixels(self, images: "Tensor | np.ndarray") -> UInt8[Tensor, "n c h w"]:
        channels, *size = self.shape
        if images.dtype not in (np.uint8, torch.uint8) or getattr(images, "layout", None) in _SPARSE:
            raise DataError(
                f"images of {images.dtype}: give bytes, uint8 from 0 to 255, as the data set has them"
            )
        tensor = torch.from_numpy(np.array(images)) if isinstance(images, np.ndarray) else images
        if channels == 1 and tuple(tensor.shape[-2:]) == tuple(size) and tensor.ndim in (2, 3):
            tensor = tensor.unsqueeze(-3)  # its only channel
        if channels == 3 and tuple(tensor.shape[-3:]) == (*size, channels):
            tensor = tensor.movedim(-1, -3)  # as pictures are in NumPy
        if tensor.ndim == 3:
            tensor = tensor.unsqueeze(0)
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise DataError(f"images of shape {tuple(images.shape)}: this model takes (n, {wanted})")
        return tensor

    def _read(
        self, images: Any, *, as_is: bool
    ) -> tuple[UInt8[Tensor, "n c h w"], list[str | None], list[str | None]]:
        from PIL.Image import Image

        if not isinstance(images, str | Path | Image | Iterable):
            raise DataError(f"a {type(images).__name__}: give an array, or paths, or pictures of Pillow")
        sources = [images] if isinstance(images, str | Path | Image) else list(images)
        pictures = [self._picture(source, as_is=as_is) for source in sources]
        if not pictures:
            return torch.zeros((0, *self.shape), dtype=torch.uint8), [], []
        names = [None if isinstance(source, Image) else str(source) for source in sources]
        pixels = torch.from_numpy(np.stack([one.pixels for one in pictures]))
        return pixels, [one.note for one in pictures], names

    def _picture(self, source: Any, *, as_is: bool) -> "Picture":
        from PIL.Image import Image

        from bakeoff.data.pictures import BrokenPictureError
        from bakeoff.deploy.predict.pictures import bytes_of

        if not isinstance(source, str | Path | Image):
            kind = type(source).__name__
            raise DataError(f"a {kind} among the images: give paths, pictures of Pillow, or one array of all")
        name = "a picture" if isinstance(source, Image) else printable(str(source))
        if isinstance(source, Image) and 0 in source.size:
            raise DataError("a picture without pixels")
        try:
            found = source if isinstance(source, Image) else Path(source)
            return bytes_of(found, self.shape, self._trained.config.data, as_is)
        except BrokenPictureError as error:
            raise DataError(f"{name}: {error}") from error

    def __repr__(self) -> str:
        run, (channels, height, width) = self._trained.run, self.shape
        colours = {1: "grey", 3: "colour"}[channels]
        return printable(
            f"{run.summary['model']} trained on {run.data_title}: {len(self.class_names)} classes, "
            f"{height} x {width} pixels, {colours}"
        )

    def _repr_html_(self) -> str:
        return html.escape(repr(self))


@short_errors
def load(run: "str | Path | FinishedRun", device: str | None = None) -> Model:
    """See `bakeoff.load`."""
    with torch_settings_kept():
        return Model(open_trained(run_path(run), device))
