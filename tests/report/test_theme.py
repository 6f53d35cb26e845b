"""Colours of the page: enough contrast on both papers, told apart by the colour-blind; names of rows."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reported_runs import make_models, table_of

from bakeoff.report.charts import theme
from bakeoff.report.charts.confusion import class_labels

# Linear RGB as people without one kind of cone see it (Machado, Oliveira and Fernandes 2009, severity 1).
BLINDNESS = {
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
ROWS = [f"row-{number}" for number in range(theme.NUM_COLOURS)]


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Of WCAG 2."""
    high, low = sorted((float(TO_XYZ[1] @ linear(colour)) for colour in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(values: np.ndarray) -> np.ndarray:
    scaled = TO_XYZ @ np.clip(values, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out(palette: dict[str, str]) -> None:
    for name in ("ink", "faint", "accent", "good", "bad"):
        assert min(contrast(palette[name], palette[paper]) for paper in ("paper", "card")) >= 4.5, name
    for name in ("heat", "loss", *ROWS):
        assert contrast(palette[name], palette["paper"]) >= 3, name


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("kind", BLINDNESS)
def test_rows_are_told_apart_without_red_or_green_cones(palette: dict[str, str], kind: str) -> None:
    """A just noticeable difference is about 2.3; shapes and dashes differ besides."""
    seen = {name: lab(np.array(BLINDNESS[kind]) @ linear(palette[name])) for name in ROWS}
    near = {
        (one, other): float(np.linalg.norm(seen[one] - seen[other]))
        for one, other in itertools.combinations(ROWS, 2)
    }
    assert min(near.values()) > 20, near


@pytest.mark.usefixtures("report_extra")
def test_eight_rows_have_eight_colours_and_shapes_and_more_rows_other_dashes() -> None:
    names = [f"r{number}" for number in range(12)]
    colours = theme.colour(names).to_dict()["scale"]["range"]
    shapes = theme.shape(names).to_dict()["scale"]["range"]
    dashes = theme.dash(names).to_dict()["scale"]["range"]
    looks = [
        (colour, shape, tuple(dash)) for colour, shape, dash in zip(colours, shapes, dashes, strict=True)
    ]
    assert len(set(colours[:8])) == len(set(shapes[:8])) == 8
    assert len(set(looks)) == 12


def test_names_of_rows_are_safe_unique_and_not_javascripts(tmp_path: Path) -> None:
    table = table_of(make_models(tmp_path, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}, seeds=1))

    def labels(*names: str) -> list[str]:
        rows = [replace(row, label=name) for row, name in zip(table.settings, names, strict=True)]
        return list(theme.labels(replace(table, settings=rows)).values())

    assert labels("a", "\x1b[2J", "", "b") == ["a", "\\x1b[2J", "3: ", "b"]
    assert labels("a", "a", "__proto__", "constructor") == [
        "row 1",
        "row 2",
        "3: __proto__",
        "4: constructor",
    ]
    assert labels("row 2", "x", "x", "y") == ["1: row 2", "2: row 2", "row 3", "y"]


def test_names_of_classes_are_safe_short_and_unique() -> None:
    names = ["cat", "dog", "dog", "", "no prediction", "valueOf", "\u202eevil", "x" * 50]
    assert class_labels(names) == [
        "cat", "1: dog", "2: dog", "3: ", "4: no prediction", "5: valueOf", "\\u202eevil", "x" * 23 + "…",
    ]  # fmt: skip
    assert class_labels(["1: dog", "dog", "dog"]) == ["0: 1: dog", "1: 1: dog", "2: dog"]
