"""What the pictures of a run show, at few and at many classes and epochs. A warning of matplotlib fails a test."""

import dataclasses
import io
import itertools
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from toy import toy_config, toy_split

from bakeoff.commands.preview import batch_picture
from bakeoff.data.splits import DataSet
from bakeoff.evaluation.prediction import Predictions
from bakeoff.models.base import Overlay, TaskSpec
from bakeoff.models.detection.answers import Detections
from bakeoff.models.detection.detector import Detector
from bakeoff.plots import lettering
from bakeoff.plots.figures import confusion_matrix, learning_curves, worst_mistakes
from bakeoff.plots.lettering import drawable, fitted, short, short_names
from bakeoff.plots.overlays import explanation_figure
from bakeoff.plots.style import own_style
from bakeoff.runs.records import EpochRecord, ValidationScores

CAT = "\u732b"  # in no font that matplotlib brings


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with own_style():
        yield


@pytest.fixture
def no_font_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed here."""
    monkeypatch.setattr(lettering, "_font_with", lambda _: None)


def drawn(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=30)
    return content.getvalue()


def epochs(count: int, val: bool = True) -> list[EpochRecord]:
    scores = ValidationScores(0.5, 0.4, 1.5) if val else None
    return [EpochRecord(n, n, 0.1, 5.0 / n, {}, scores, 1.0, 1.0, 1.0) for n in range(1, count + 1)]


@pytest.mark.parametrize(("count", "chosen"), [(1, 1), (2, 1), (12, 9), (100, 100)])
def test_each_quantity_has_a_panel_and_the_chosen_epoch_is_marked(count: int, chosen: int) -> None:
    figure = learning_curves(epochs(count), "title", chosen)
    drawn(figure)
    training, losses, scores = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 3]
    assert list(training.lines[0].get_ydata()) == [5.0 / n for n in range(1, count + 1)]
    assert set(losses.lines[0].get_ydata()) == {1.5}
    assert set(scores.lines[0].get_ydata()) == {0.5}
    for axes in figure.axes:
        assert list(axes.lines[-1].get_xdata()) == [chosen, chosen]
        low, high = axes.get_xlim()
        assert 0 < 1 - low <= max(0.5, 0.03 * count)
        assert 0 < high - count <= max(0.5, 0.03 * count)
        shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert shown
        assert all(float(tick).is_integer() for tick in shown)
    assert f"epoch {chosen}" in figure.get_suptitle()


def test_without_validation_images_two_panels_say_so() -> None:
    figure = learning_curves(epochs(3, val=False), "title", 3)
    drawn(figure)
    assert [len(axes.lines) for axes in figure.axes] == [2, 0, 0]
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no validation images"] * 2


@pytest.mark.parametrize("count", [2, 60, 61, 301, 1000])
@pytest.mark.parametrize("unanswered", [0, 3])
def test_a_confusion_matrix_names_what_can_be_read(count: int, unanswered: int) -> None:
    counts = np.eye(count, count + 1, dtype=int) * 5
    counts[0, -1] = unanswered
    figure = confusion_matrix(counts, [f"class-{number}" for number in range(count)], "title")
    (axes,) = figure.axes
    rows, columns = (
        [label.get_text() for label in labels] for labels in (axes.get_yticklabels(), axes.get_xticklabels())
    )
    assert len(rows) <= 60
    assert len(columns) <= 61
    assert rows[:2] == ["class-0", f"class-{-(-count // 60)}"]
    assert (columns[-1] == "no prediction") == bool(unanswered)
    assert (f"{count:,} classes, one in" in axes.get_title()) == (count > 60)
    for labels, places in ((rows, axes.get_yticks()), (columns, axes.get_xticks())):
        for label, place in zip(labels, places, strict=True):
            assert label in (f"class-{int(place)}", "no prediction")
    assert np.diff(axes.get_xticks()).min() >= -(-count // 60)  # none upon another
    if count <= 2:  # the others take a second each
        drawn(figure)


@pytest.mark.usefixtures("no_font_has_it")
def test_letters_that_no_font_has() -> None:
    assert drawable(f"on {CAT}") == "on \\u732b"
    assert drawable("\U0001f408") == "\\U0001f408"
    assert short_names(["dog", CAT, "Größe", "Ω"]) == ["dog", "class 1", "Größe", "Ω"]
    drawn(confusion_matrix(np.eye(2, 3, dtype=int), [CAT, "dog"], drawable(CAT)))


def test_a_font_that_has_a_letter_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """STIX stands for any font that is installed."""
    monkeypatch.setattr(lettering, "_NO_LETTERS", ("Last Resort",))
    for cached in (lettering._fonts, lettering._letters, lettering._font_with):
        cached.cache_clear()
    letters = lettering._letters("STIXGeneral") - lettering._letters("DejaVu Sans")
    letter = min(letter for letter in letters if ord(letter) > 0x1000 and letter.isprintable())
    try:
        assert short_names(["dog", letter]) == ["dog", letter]
        family = matplotlib.rcParams["font.family"]
        assert family[0] == "DejaVu Sans"
        assert letter in lettering._letters(family[1])
        drawn(confusion_matrix(np.eye(2, 3, dtype=int), [letter, "dog"], "title"))
    finally:
        monkeypatch.undo()
        for cached in (lettering._fonts, lettering._letters, lettering._font_with):
            cached.cache_clear()


def test_names_are_cut_in_their_middle_and_stay_different() -> None:
    assert short("x" * 14) == "x" * 14
    assert short("golden_retriever_17") == "golden_…ver_17"
    assert short_names(["golden_retriever_17", "golden_retriever_18"]) == ["golden_…ver_17", "golden_…ver_18"]
    assert short_names(["golden_A_retriever", "golden_B_retriever"]) == ["class 0", "class 1"]
    assert drawable("$x$\n") == r"\$x\$\x0a"


@pytest.mark.usefixtures("no_font_has_it")
def test_the_title_of_a_preview_has_two_lines() -> None:
    config = toy_config(data__title=f"${CAT}$")
    split = toy_split(8)
    figure = batch_picture(DataSet("toy", ("a", CAT, "$"), split, None, split), config)
    first, second = figure.get_suptitle().split("\n")
    assert first.startswith(r"\$\u732b\$: training images")
    assert second.endswith("seed 0")
    drawn(figure)


def overlay(**changes: Any) -> Overlay:
    return Overlay("what it shows", None, torch.zeros((0, 4)), [], [])._replace(**changes)


def figure_of(*overlays: Overlay) -> Figure:
    pixels = np.zeros((len(overlays), 1, 8, 8), dtype=np.uint8)
    return explanation_figure(pixels, overlays, ["caption"] * len(overlays), "title", {"cat": "class 1"})


def test_found_and_true_boxes_differ_in_dash_and_stand_in_the_legend() -> None:
    found = {"boxes": torch.tensor([[1.0, 1, 5, 6]]), "box_labels": ["cat"], "box_scores": [0.5]}
    true = torch.tensor([2.0, 2, 6, 6])
    figure = figure_of(overlay(true_box=true), overlay(**found, true_box=true))
    drawn(figure)
    lines = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    assert {name: line.get_linestyle() for name, line in lines.items()} == {
        "box found": "-",
        "true box": "--",
    }
    assert list(lines["true box"].get_xdata()) == [1.5, 5.5, 5.5, 1.5, 1.5]
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"box found", "true box"}
    assert "class 1, score 50 %" in [axes.get_title() for axes in figure.axes]
    assert figure_of(overlay()).legends == []


def test_attention_is_lines_of_different_width_and_an_even_one_is_none() -> None:
    heat = torch.zeros((8, 8))
    heat[3, 4] = 1
    figure = figure_of(overlay(heat=heat), overlay(heat=torch.full((8, 8), 0.3)))
    drawn(figure)
    (first, second) = (axes.collections for axes in figure.axes[5:7])
    assert len(second) == 0
    black, bright = first
    assert (np.diff(bright.get_linewidths()) > 0.5).all()
    assert (np.array(black.get_linewidths()) > np.array(bright.get_linewidths())).all()
    grey = [np.dot(lines.get_edgecolor()[0][:3], (0.299, 0.587, 0.114)) for lines in first]
    assert abs(grey[0] - grey[1]) > 0.5  # on black and on white one of them shows


@pytest.mark.parametrize(
    ("boxes", "has_ink"), [("ink", True), ("image", False), ("auto", True), ("auto", False)]
)
def test_a_detector_shows_the_true_box_where_it_is_the_ink(boxes: str, has_ink: bool) -> None:
    class Found(Detector):
        def losses(self, batch: Any) -> Any:
            raise NotImplementedError

        def detect(self, images: torch.Tensor) -> Detections:
            nothing = torch.zeros(1, dtype=torch.bool)
            return Detections(torch.zeros((1, 4)), torch.zeros((1, 2)), nothing)

    config = type("Config", (), {"boxes": boxes})()
    model = Found(config, TaskSpec(1, 8, 8, ("a", "b"), (0.5,), (0.5,), has_ink=has_ink))
    images = torch.zeros((1, 1, 8, 8), dtype=torch.uint8)
    images[0, 0, 2:4, 3:7] = 255
    (shown,) = model.explain(images)
    assert (shown.true_box is None) == (not has_ink)
    if has_ink:
        assert shown.true_box.tolist() == [3, 2, 7, 4]


@pytest.mark.parametrize(("wrong", "rows"), [(6, 2), (1, 1), (0, 0), (30, 5)])
def test_mistakes_have_no_empty_rows_and_say_what_the_percentage_is(wrong: int, rows: int) -> None:
    split = toy_split(40)
    labels = split.labels.numpy()
    said = np.full((40, 4), 0.05, dtype=np.float32)
    said[np.arange(40), np.where(np.arange(40) < wrong, (labels + 1) % 4, labels)] = 0.85
    figure = worst_mistakes(split, Predictions(np.arange(40), labels, said, {}), list("abcd"), "title")
    drawn(figure)
    assert len(figure.axes) == 5 * rows
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert len(titles) == min(wrong, 25)
    assert all("(85 %)\nimage " in title for title in titles)


def test_hidden_axes_have_no_ticks_which_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """They took half of the time that a grid of images takes to draw."""
    said = np.full((40, 4), 0.25, dtype=np.float32)
    predictions = Predictions(np.arange(40), toy_split(40).labels.numpy(), said, {})
    figure = worst_mistakes(toy_split(40), predictions, list("abcd"), "title")
    assert figure.axes
    assert not any(len(axes.get_xticks()) or len(axes.get_yticks()) for axes in figure.axes)
    monkeypatch.setattr("bakeoff.plots.figures.hide_axes", lambda axes: axes.set_axis_off())
    with_ticks = worst_mistakes(toy_split(40), predictions, list("abcd"), "title")
    assert drawn(figure) == drawn(with_ticks)


def texts_apart(figure: Figure) -> bool:
    """Whether no text above an image reaches into its neighbour's."""
    figure.draw_without_rendering()
    by_row: dict[int, list[Any]] = {}
    for axes in figure.axes:
        if axes.get_title():
            box = axes.title.get_window_extent()
            by_row.setdefault(round(axes.get_position().y0 * 1000), []).append(box)
    return all(
        left.x1 < right.x0
        for boxes in by_row.values()
        for left, right in itertools.pairwise(sorted(boxes, key=lambda box: box.x0))
    )


@pytest.mark.parametrize(
    "name", ["cat", "WWWWWWWWWWWW", "a_bird of 12", "longest_of_all_the_names_there_are_here"]
)
def test_names_above_images_do_not_run_into_each_other(name: str) -> None:
    split = toy_split(12)
    labels = split.labels.numpy()
    said = np.full((12, 4), 0.05, dtype=np.float32)
    said[np.arange(12), (labels + 1) % 4] = 0.85
    names = [f"{number}{name}" for number in range(4)]
    predictions = Predictions(np.arange(12), labels, said, {})
    assert texts_apart(worst_mistakes(split, predictions, names, "title", ["x/" + "W" * 30] * 12))
    cut = short_names(names)
    captions = [f"true {cut[0]}\npredicted {cut[1]}\nimage 1"] * 5
    boxes = overlay(boxes=torch.tensor([[1.0, 1, 4, 4]]), box_labels=["0"], box_scores=[0.97])
    pixels = np.zeros((5, 1, 8, 8), dtype=np.uint8)
    assert texts_apart(explanation_figure(pixels, [boxes] * 5, captions, "title", {"0": cut[0]}))


def test_a_text_is_broken_at_spaces_and_a_number_stays_with_its_unit() -> None:
    assert fitted(("true cat", "predicted a_rather_long (85 %)"), 1.45, 7) == (
        "true cat\npredicted a_rather_long\n(85 %)"
    )
    pieces = fitted(("W" * 60,), 1.45, 7).split("\n")
    assert "".join(pieces) == "W" * 60
    assert len(pieces) > 3


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_the_axis_of_the_scores_shows_no_impossible_share(value: float) -> None:
    records = [dataclasses.replace(r, val=ValidationScores(value, value, 1.0)) for r in epochs(3)]
    low, high = learning_curves(records, "title", 3).axes[2].get_ylim()
    assert 0 <= low < high <= 1
