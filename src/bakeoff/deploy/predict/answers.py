"""What a model says of a picture, as a row of a table, a line of JSON, or a line of CSV. No torch."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bakeoff.comparison.output.csv_form import safe
from bakeoff.terminal import columns_of, padded, wrapped
from bakeoff.text import cut, percent, printable

NO_PREDICTION = "no prediction"
NO_INK = "no ink found"
_UNREADABLE = "cannot be read"
_WIDEST_NAME = 24
_SHORTEST_PICTURE = 16  # columns of its name


@dataclass(frozen=True)
class Answer:
    """Of one picture."""

    name: str
    top: tuple[tuple[str, float], ...] = ()  # classes with their probabilities; empty: no prediction
    note: str | None = None  # what was done to the picture
    true: str | None = None  # the class that its folder says
    box: tuple[float, ...] | None = None  # xyxy in pixels of what the model sees
    error: str | None = None  # why it could not be read
    has_boxes: bool = False  # of a detector

    @property
    def is_blank(self) -> bool:
        """Whether a model of handwriting has seen no writing."""
        return self.note == NO_INK

    @property
    def predicted(self) -> str | None:
        """The most probable class; None: none."""
        return self.top[0][0] if self.top else None


class Form(Protocol):
    """How answers are written."""

    def head(self) -> str:
        """What stands above them, with its line's end; may be empty."""

    def line(self, answer: Answer) -> str:
        """One of them, with its line's end."""

    def tail(self) -> str:
        """What stands below them."""


@dataclass
class JsonLines:
    """An object a line; as a list, all of them are one JSON text."""

    is_list: bool = False
    _num: int = 0

    def head(self) -> str:
        """Of a list its bracket."""
        return "[" if self.is_list else ""

    def tail(self) -> str:
        """Of a list its bracket."""
        return "\n]\n" if self.is_list else ""

    def line(self, answer: Answer) -> str:
        """The fields of docs/predict.md."""
        fields: dict[str, Any] = {"path": answer.name}
        if answer.error is not None:
            fields["error"] = answer.error
        fields |= {
            "predicted": answer.predicted,
            "probability": answer.top[0][1] if answer.top else None,
            "top": [{"class": name, "probability": share} for name, share in answer.top],
            "prepared": answer.note,
        }
        if answer.true is not None:
            fields["true"] = answer.true
        if answer.has_boxes:
            fields["box"] = None if answer.box is None else list(answer.box)
        self._num += 1
        text = json.dumps(fields, allow_nan=False)
        return f"{',' if self._num > 1 else ''}\n{text}" if self.is_list else f"{text}\n"


@dataclass(frozen=True)
class Csv:
    """A line for each, with a head."""

    num_top: int

    def head(self) -> str:
        """Names of the columns."""
        more = [
            f"{name}_{place}" for place in range(2, self.num_top + 1) for name in ("class", "probability")
        ]
        return self._row(["path", "predicted", "probability", *more, "true", "prepared", "error"])

    def line(self, answer: Answer) -> str:
        """Empty cells where there is nothing."""
        cells: list[Any] = [cell for pair in answer.top[: self.num_top] for cell in pair]
        cells += [""] * (2 * self.num_top - len(cells))
        rest = (answer.true, answer.note, answer.error)
        texts = [safe(text or "") for text in rest]
        return self._row([safe(answer.name), *(safe(x) if isinstance(x, str) else x for x in cells), *texts])

    def tail(self) -> str:
        """Nothing."""
        return ""

    def _row(self, cells: Sequence[Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        # Bytes of a file's name that are no UTF-8 cannot be written.
        return text.getvalue().encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Table:
    """Columns for people; the name, of any length, comes last."""

    class_names: Sequence[str]
    num_top: int
    width: int | None = None  # of the terminal; None: lines may be long
    has_true: bool = False
    _names: int = field(init=False)

    def __post_init__(self) -> None:
        widest = max(columns_of(self._shown(name)) for name in (*self.class_names, "true"))
        object.__setattr__(self, "_names", widest)

    def head(self) -> str:
        """Names of the columns."""
        cells = [padded("predicted", self._first, right=False), "probability"]
        if self.has_true:
            cells.append(padded("true", self._names, right=False))
        return "  ".join([*cells, "picture"]).rstrip() + "\n"

    def line(self, answer: Answer) -> str:
        """A picture that could not be read has its reason behind its name."""
        name, share = answer.top[0] if answer.top else ("", None)
        if not answer.top:
            name = _UNREADABLE if answer.error else NO_PREDICTION
        shown = "" if share is None else percent(share)
        cells = [padded(self._shown(name), self._first, right=False), f"{shown:>11}"]
        if self.has_true:
            shown = self._shown(answer.true or "")
            cells.append(padded(shown, self._names, right=False))
        before = "  ".join(cells) + "  "
        after = f": {printable(answer.error)}" if answer.error else f" ({NO_INK})" if answer.is_blank else ""
        if self.width is not None:
            after = cut(after, max(8, self.width - columns_of(before) - _SHORTEST_PICTURE))
        return (
            before
            + self._fitted(printable(answer.name), columns_of(before) + len(after))
            + after
            + "\n"
            + self._others(answer)
        )

    def tail(self) -> str:
        """Nothing."""
        return ""

    def _others(self, answer: Answer) -> str:
        """The further classes, in a line below."""
        others = [f"{self._shown(name)} {percent(share)}" for name, share in answer.top[1 : self.num_top]]
        if not others:
            return ""
        return "".join(f"{line}\n" for line in wrapped(f"then {', '.join(others)}", self.width, "  ", "    "))

    @property
    def _first(self) -> int:
        """Columns of the first class, in whose place other things may be said."""
        return max(self._names, len(_UNREADABLE), len(NO_PREDICTION))

    def _shown(self, name: str) -> str:
        return cut(printable(name), _WIDEST_NAME)

    def _fitted(self, name: str, taken: int) -> str:
        """A long name without its beginning: its end tells it from others."""
        room = None if self.width is None else max(_SHORTEST_PICTURE, self.width - taken)
        return name if room is None or len(name) <= room else f"…{name[-room + 1 :]}"
