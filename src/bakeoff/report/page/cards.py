"""The gallery of a page: each image with every row's prediction, and what rows showed of their decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bakeoff.report.charts.confusion import NO_PREDICTION, class_labels
from bakeoff.report.evidence import Evidence, RowEvidence
from bakeoff.report.gallery import Gallery, Said, Shown, gallery_of
from bakeoff.report.page.pictures import data_uri, overlay_uri
from bakeoff.runs.explanations import Explanation, read_explanations
from bakeoff.runs.kept_images import kept_images
from bakeoff.text import printable

_MOST_LINES = 10  # of a card
_MOST_OVERLAYS = 5  # of an image: those of 50 rows took 12 MB of a page


@dataclass(frozen=True)
class Line:
    """What one row said."""

    row: str
    guess: str
    confidence: float
    verdict: str  # right, wrong, or split: right, but by fewer than half of the seeds
    num_agreeing: int
    num_runs: int


@dataclass(frozen=True)
class Overlay:
    """A picture of what one row showed of its decision."""

    row: str
    title: str
    source: str


@dataclass(frozen=True)
class Card:
    """One test image."""

    index: int
    label: str
    row: str  # whose it is: that alone is right, or that is wrong
    source: str | None  # None: the pixels are not stored
    is_small: bool  # shown larger than it is
    lines: tuple[Line, ...]  # of the row whose it is, and of the first rows
    others: tuple[int, int]  # of the rest, how many are right and wrong
    overlays: tuple[Overlay, ...]


@dataclass(frozen=True)
class Cards:
    """Both halves of a gallery."""

    alone: tuple[Card, ...]
    mistakes: tuple[Card, ...]
    num_alone: tuple[tuple[str, int], ...]
    num_without_pixels: int


def cards_of(evidence: Evidence, names: dict[str, str], test_hash: str) -> Cards:
    """Chooses the images, and finds their pixels near the runs."""
    gallery = gallery_of(evidence)
    pixels = _pixels(gallery, evidence.rows, test_hash)
    shows = _explanations(evidence.rows, set(gallery.indices))
    classes = class_labels(evidence.class_names)

    def card(row: RowEvidence, shown: Shown) -> Card:
        image = pixels.get(shown.index)
        lines, others = _lines(row, shown, names, classes)
        own = row.row.setting
        told = sorted(shows.get(shown.index, {}).items(), key=lambda one: one[0] != own)[:_MOST_OVERLAYS]
        overlays = () if image is None else tuple(
            Overlay(names[setting], printable(one.title), overlay_uri(image, one)) for setting, one in told
        )  # fmt: skip
        return Card(
            shown.index,
            classes[shown.label],
            names[row.row.setting],
            None if image is None else data_uri(image),
            image is not None and max(image.shape[:2]) < 64,
            lines,
            others,
            overlays,
        )

    return Cards(
        tuple(card(row, shown) for row, shown in gallery.alone),
        tuple(card(row, shown) for row, shown in gallery.mistakes),
        tuple((names[setting], count) for setting, count in gallery.num_alone.items()),
        sum(index not in pixels for index in gallery.indices),
    )


def _lines(
    row: RowEvidence, shown: Shown, names: dict[str, str], classes: Sequence[str]
) -> tuple[tuple[Line, ...], tuple[int, int]]:
    """What rows said; of many rows only some have a line."""
    others = [said for said in shown.said if said.row is not row]
    rest = others[_MOST_LINES - 1 :]
    left_out = {id(said) for said in rest}
    lines = tuple(_line(said, names, classes) for said in shown.said if id(said) not in left_out)
    num_right = sum(said.is_right for said in rest)
    return lines, (num_right, len(rest) - num_right)


def _line(said: Said, names: dict[str, str], classes: Sequence[str]) -> Line:
    guess = NO_PREDICTION if said.guess < 0 else classes[said.guess]
    setting = said.row.row.setting
    verdict = "right" if said.is_right else "split" if said.is_split else "wrong"
    return Line(names[setting], guess, said.confidence, verdict, said.num_agreeing, said.row.num_runs)


def _pixels(gallery: Gallery, rows: Sequence[RowEvidence], test_hash: str) -> dict[int, np.ndarray]:
    """From wherever one of the runs has them near."""
    found: dict[int, np.ndarray] = {}
    looked: set[Path] = set()
    for row in rows:
        for run in row.row.members:
            left = [index for index in gallery.indices if index not in found]
            if not left:
                return found
            if run.path.parent not in looked:  # runs of one folder find the same
                looked.add(run.path.parent)
                found |= kept_images(run.path, test_hash, left)
    return found


def _explanations(rows: Sequence[RowEvidence], wanted: set[int]) -> dict[int, dict[str, Explanation]]:
    """Index of an image -> setting -> what its first run that shows something shows."""
    found: dict[int, dict[str, Explanation]] = {}
    for row in rows:
        for run in row.row.members:
            for index, told in read_explanations(run.path).items():
                if index in wanted:
                    found.setdefault(index, {}).setdefault(row.row.setting, told)
    return found
