"""Pages of runs with strange names, in a browser. Slow: each opens Chromium."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import RELOAD_SECONDS, chromium, opened
from reported_runs import write_epochs
from run_directories import make_run

from bakeoff.comparison.output.printing import read_and_compare
from bakeoff.comparison.view import View
from bakeoff.report.write import page, write_report
from bakeoff.runs.rundir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("report_extra")]

# What a library that looks names up in plain JavaScript objects finds there.
OF_EVERY_OBJECT = ("constructor", "__proto__", "toString")


def name_classes(run: Path, names: tuple[str, ...]) -> None:
    file = run / "summary.json"
    summary = json.loads(file.read_text())
    for score, name in zip(summary["test"]["per_class"], names, strict=True):
        score["label"] = name
    file.write_text(json.dumps(summary))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def test_names_that_every_object_has_are_drawn(browser: Any, tmp_path: Path) -> None:
    for place, model in enumerate((*OF_EVERY_OBJECT, "all pairs", " ")):
        run = tmp_path / "runs" / str(place)
        make_run(run, place, str(place), model=model, error_rate=0.1 * (place + 1))
        write_epochs(run, [0.4, 0.5])
        name_classes(run, (*OF_EVERY_OBJECT, "valueOf", "no prediction"))
    file = tmp_path / "page.html"
    write_report([tmp_path / "runs"], file)
    desk = opened(browser, file)
    assert [text for text in desk.complaints if "Infinite extent" not in text] == []  # no ticks: one seed
    figures = desk.page.locator("[data-figure]")
    assert figures.count() == 9
    assert all(drawn == "yes" for drawn in figures.evaluate_all("all => all.map(one => one.dataset.drawn)"))
    assert desk.marks("t1-curves")[1] == 5
    assert desk.marks("t1-agreement")[0] == 20  # one seed each: no diagonal
    desk.page.locator("#t1-pairs [data-signal]").select_option(index=5)  # the row called "all pairs"
    desk.wait_for("t1-pairs")
    assert desk.marks("t1-pairs")[1] == 4


def test_classes_with_a_bar_in_their_names_stay_apart_in_a_difference(browser: Any, tmp_path: Path) -> None:
    labels = np.arange(4).repeat(4)
    for model, guesses in (("x", [2] * 4 + [1] * 4), ("y", [0, 0, 0, 3, 3, 1, 1, 1])):
        rows = np.full((16, 4), 0.1, dtype=np.float32)
        rows[np.arange(16), guesses + [2] * 4 + [3] * 4] = 0.7
        make_run(tmp_path / "runs" / model, 0, model, model=model, stored=(labels, rows))
        name_classes(tmp_path / "runs" / model, ("a|b", "a", "c", "b|c"))
    file = tmp_path / "page.html"
    write_report([tmp_path / "runs"], file)
    desk = opened(browser, file)
    for choice, row in zip(desk.page.locator("#t1-difference [data-signal]").all(), "xy", strict=True):
        choice.select_option(row)
        desk.wait_for("t1-difference")
    cells = desk.page.locator("#t1-difference .mark-rect path").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    found = {
        (parts["true"], parts["predicted"]): parts["points"].replace("\N{MINUS SIGN}", "-")
        for parts in (dict(part.split(": ") for part in cell.split("; ")) for cell in cells)
    }
    assert found[("a|b", "c")] == "+100.00"
    assert found[("a", "b|c")] == "-25.00"


def test_a_figure_that_cannot_be_drawn_leaves_the_others(browser: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", 0, "a")
    file = tmp_path / "page.html"
    write_report([tmp_path / "runs"], file)
    text = file.read_text()
    broken = text.replace('"layer":', '"hconcat":7,"layer_":', 1)
    assert broken != text
    file.write_text(broken)
    desk = opened(browser, file)
    assert desk.page.locator(".plot.failed").count() == 1
    assert desk.page.locator("[data-drawn=yes]").count() == desk.page.locator("[data-figure]").count() - 1
    assert any(text.startswith("error: ") for text in desk.complaints)  # it is told


def rewritten(browser: Any, file: Path, before: str, act: Callable[[Any], None], after: str) -> Any:
    """A page that follows its runs, used, and loaded again with another content."""
    file.write_text(before)
    desk = opened(browser, file, own_clock=True)
    act(desk.page)
    file.write_text(after)
    desk.load_again()
    assert [text for text in desk.complaints if "Infinite extent" not in text] == []
    return desk.page


def test_a_reload_puts_nothing_into_another_field_when_figures_come(browser: Any, tmp_path: Path) -> None:
    """The first table appears above the figure that was there: its filter got the number of a choice."""

    def text(reload_seconds: int | None) -> str:
        return page(read_and_compare([runs], View()), View(), reload_seconds)

    runs = tmp_path / "runs"
    goes_on = RunDir.create(runs / "goes-on")
    goes_on.write_config({"seed": 1}, [])
    goes_on.write_status("failed", 3)
    write_epochs(goes_on.path, [0.3, 0.4])
    before = text(RELOAD_SECONDS)
    make_run(runs / "a", 0, "a", model="cnn")
    make_run(runs / "b", 1, "b", model="vit")
    between, stands = text(RELOAD_SECONDS), text(None)
    make_run(runs / "c", 2, "c", model="mlp", changes={"seed": 3, "batch_size": 77})
    after = text(None)

    shown = rewritten(
        browser, tmp_path / "one.html", before,
        lambda shown: shown.locator("#unfinished-curves [data-variant]").select_option("2"), stands,
    )  # fmt: skip
    assert shown.get_by_label("Filter").input_value() == ""
    assert shown.locator("#unfinished-curves [data-variant]").input_value() == "2"
    assert shown.locator("[data-count=t1]").inner_text() == "2 rows"

    def use(shown: Any) -> None:
        shown.locator("#t1-rows thead").get_by_text("train_seconds").click()
        shown.get_by_label("Filter").fill("t")

    shown = rewritten(browser, tmp_path / "two.html", between, use, after)
    assert shown.locator("#t1-rows thead [aria-sort]").inner_text().startswith("train_seconds")
    assert shown.evaluate("document.activeElement.dataset.filter") == "t1"  # one may type on


def test_the_colours_of_rows_stay_where_a_reader_forces_colours(browser: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", 0, "a")
    file = tmp_path / "page.html"
    write_report([tmp_path / "runs"], file)
    context = browser.new_context(forced_colors="active")
    shown = context.new_page()
    shown.goto(file.as_uri())
    colour = shown.locator(".swatch >> nth=0").evaluate("one => getComputedStyle(one).backgroundColor")
    context.close()
    assert colour not in ("rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgba(0, 0, 0, 0)")
