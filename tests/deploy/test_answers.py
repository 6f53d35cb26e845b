"""How answers are written: no prediction, boxes, broken pictures; and what is counted of them."""

import csv
import io
import json
from unittest.mock import Mock

import numpy as np
import pytest

from bakeoff.deploy.predict.answers import Answer, Csv, JsonLines, Table
from bakeoff.deploy.predict.ensemble import in_order_of
from bakeoff.deploy.predict.scoring import Tally
from bakeoff.deploy.trained import Trained

SEEN = Answer(
    "a.png", (("cat", 0.75), ("dog", 0.25)), note="centred", true="dog", box=(1, 2, 3, 4), has_boxes=True
)
NOTHING = Answer("b.png", true="cat", has_boxes=True)
BROKEN = Answer("c\x1b.png", error="empty file")


def test_a_line_of_json_has_all_that_is_known_and_no_more() -> None:
    form = JsonLines()
    seen, nothing, broken = (json.loads(form.line(answer)) for answer in (SEEN, NOTHING, BROKEN))
    assert seen == {
        "path": "a.png",
        "predicted": "cat",
        "probability": 0.75,
        "top": [{"class": "cat", "probability": 0.75}, {"class": "dog", "probability": 0.25}],
        "prepared": "centred",
        "true": "dog",
        "box": [1, 2, 3, 4],
    }
    assert nothing == {
        "path": "b.png", "predicted": None, "probability": None, "top": [], "prepared": None, "true": "cat",
        "box": None,
    }  # fmt: skip
    assert broken["error"] == "empty file"
    assert broken["path"] == "c\x1b.png"
    assert not {"true", "box"} & set(broken)


def test_csv_has_the_same_number_of_cells_in_each_line() -> None:
    form = Csv(2)
    text = form.head() + "".join(map(form.line, (SEEN, NOTHING, BROKEN)))
    rows = list(csv.DictReader(io.StringIO(text), strict=True))
    assert [row["predicted"] for row in rows] == ["cat", "", ""]
    assert [row["class_2"] for row in rows] == ["dog", "", ""]
    assert [row["error"] for row in rows] == ["", "", "empty file"]
    assert all(None not in row and None not in row.values() for row in rows)


def test_a_table_names_what_has_no_class_and_prints_nothing_that_acts() -> None:
    form = Table(["cat", "dog"], 2, width=None, has_true=True)
    head, seen, nothing, broken = (form.head(), *map(form.line, (SEEN, NOTHING, BROKEN)))
    assert seen.split() == ["cat", "75.00", "%", "dog", "a.png", "then", "dog", "25.00", "%"]
    assert nothing.split() == ["no", "prediction", "cat", "b.png"]
    assert broken.split() == ["cannot", "be", "read", "c\\x1b.png:", "empty", "file"]
    assert head.index("picture") == seen.index("a.png") == nothing.index("b.png")


def test_a_long_name_loses_its_beginning_on_a_terminal() -> None:
    form = Table(["cat"], 1, width=60)
    line = form.line(Answer(f"{'x' * 90}/end.png", (("cat", 1.0),)))
    assert len(line.rstrip("\n")) == 60
    assert line.endswith("/end.png\n")


def test_what_is_counted() -> None:
    tally = Tally()
    for answer in (
        SEEN,
        NOTHING,
        BROKEN,
        Answer("d", (("dog", 1.0),), true="dog"),
        Answer("e", (("cat", 1.0),)),
    ):
        tally.add(answer)
    said = list(tally.lines())
    assert said[0].startswith("made like the training images: 1 centred (of 4 pictures)")
    assert said[1].startswith(
        "accuracy 33.33 %: 1 of 3 pictures right, 1 without a prediction (95 % interval: "
    )
    assert said[2] == "1 picture of 5 could not be read"


def test_members_with_their_classes_in_another_order() -> None:
    member = Mock(spec=Trained, class_names=("dog", "cat"))
    rows = np.array([[0.1, 0.9]], np.float32)
    assert in_order_of(("cat", "dog"), member, rows) == pytest.approx(rows[:, ::-1])
