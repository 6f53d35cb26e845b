"""The page as people use it: in a browser, with its figures drawn. Slow: each opens Chromium."""

import base64
import csv
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browsers import RELOAD_SECONDS, Opened, chromium, opened
from PIL import Image
from reported_runs import write_epochs
from run_directories import make_run

from bakeoff.comparison.output.printing import read_and_compare
from bakeoff.comparison.view import View
from bakeoff.report.write import page, write_report
from bakeoff.runs.explanations import Explanation, write_explanations
from bakeoff.runs.kept_images import write_test_images
from bakeoff.runs.rundir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("report_extra")]

TEST_HASH = "5e" * 32
MODELS = {"good": 0.05, "middle": 0.12, "other": 0.13, "bad": 0.45}
LONG = "a_model_with_a_very_long_name_that_no_line_of_a_phone_can_hold_at_once"


def make_everything(root: Path) -> Path:
    """Four models of three seeds, a single run, one without costs, pixels, boxes, runs that failed."""
    random = np.random.RandomState(0)
    write_test_images(
        root, TEST_HASH, random.randint(0, 256, (200, 1, 28, 28), dtype=np.uint8), np.zeros(200)
    )
    for place, (model, rate) in enumerate(MODELS.items()):
        for seed in range(3):
            run = root / f"{model}-{seed}"
            make_run(
                run, seed + 10 * place, model, model=model, error_rate=rate, count=200, test_split=TEST_HASH,
                train_seconds=10.0 * (place + 1) + seed,
            )  # fmt: skip
            write_epochs(run, [0.3, 0.6, 1 - rate])
            boxes = np.array([[2.0, 3.0, 20.0, 21.0]], dtype=np.float32)
            told = Explanation("box", None, boxes, ["class 1"], [0.9], None, 28, 28)
            if model == "bad":
                write_explanations(RunDir(run), dict.fromkeys(range(200), told))
    make_run(root / "lone", 99, "lone", model=LONG, error_rate=0.3, count=200, test_split=TEST_HASH)
    edited = root / "lone" / "summary.json"
    summary = json.loads(edited.read_text())
    summary["cost"]["parameters"] = None
    edited.write_text(json.dumps(summary))
    for name, status, error in (
        ("dead", "diverged", "step 3: the loss is nan"),
        ("went", "failed", "disk full"),
    ):
        failed = RunDir.create(root / name)
        failed.write_config({"seed": 1}, [])
        failed.write_status(status, 3, error)
        write_epochs(failed.path, [0.2, 0.1])
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_everything(tmp_path_factory.mktemp("reported") / "runs")


@pytest.fixture(scope="module")
def file(runs: Path) -> Path:
    output = runs.parent / "page.html"
    assert write_report([runs], output) == 7
    return output


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def desk(browser: Any, file: Path) -> Iterator[Opened]:
    found = opened(browser, file)
    yield found
    found.page.context.close()
    assert found.complaints == []


def figures_of(desk: Opened) -> dict[str, Any]:
    found: dict[str, Any] = desk.page.evaluate(
        "JSON.parse(document.getElementById('data').textContent).figures"
    )
    return found


def test_every_variant_of_every_figure_has_marks_in_every_layer(desk: Opened) -> None:
    """A drawing whose data do not fit is an empty pair of axes, and no error."""
    figures = figures_of(desk)
    kinds = {key.partition("-")[2] for key in figures}
    assert kinds == {
        "scores", "pairs", "curves", "cost", "confusion", "difference", "classes", "reliability", "agreement",
    }  # fmt: skip
    for key, figure in figures.items():
        lists = desk.page.locator(f"#{key} [data-variant]")
        for place, variant in enumerate(figure["variants"]):
            if lists.count():
                lists.select_option(str(place))
                desk.wait_for(key)
            num_layers = len(variant["spec"]["layer"])
            marks = desk.marks(key)
            missing = [layer for layer in range(num_layers) if not marks.get(layer)]
            assert missing == [], (key, variant["label"], marks)


def test_a_layer_without_marks_would_be_seen(desk: Opened) -> None:
    """That the count above can fail: of a row that is not there, nothing is drawn."""
    desk.page.evaluate(
        "document.querySelector('#t1-confusion [data-signal]').innerHTML = '<option>nobody</option>'"
    )
    desk.page.locator("#t1-confusion [data-signal]").dispatch_event("change")
    desk.wait_for("t1-confusion")
    assert not any(desk.marks("t1-confusion").values())


def test_choices_change_the_drawing(desk: Opened) -> None:
    before = desk.marks("t1-pairs")
    desk.page.locator("#t1-pairs [data-signal]").select_option("bad")
    desk.wait_for("t1-pairs")
    after = desk.marks("t1-pairs")
    assert (before[1], after[1]) == (10, 4)  # all pairs of five rows; those of one
    numbers = desk.page.locator("#t1-confusion svg").inner_html()
    desk.page.locator("#t1-confusion [data-signal]").select_option("bad")
    desk.wait_for("t1-confusion")
    assert desk.page.locator("#t1-confusion svg").inner_html() != numbers


@pytest.mark.parametrize("column", ["configuration", "accuracy", "train_seconds", "parameters", "n", "group"])
def test_the_table_sorts_both_ways(desk: Opened, column: str) -> None:
    cells = f"#t1-rows tbody [data-column='{column}']"
    place = desk.page.locator("#t1-rows tbody tr >> nth=0").locator("[data-column]").evaluate_all(
        "(all, name) => all.findIndex(one => one.dataset.column === name)", column
    )  # fmt: skip
    button = desk.page.locator(f"#t1-rows thead [data-sort='{place}']")
    is_number = column not in ("configuration", "group")

    def values() -> list[Any]:
        found = desk.page.locator(cells).evaluate_all("all => all.map(one => one.dataset.sortValue)")
        return [float(text) if is_number and text else text for text in found]

    orders = []
    for _ in range(2):
        button.click()
        orders.append(values())
        said = desk.page.locator(f"#t1-rows thead th >> nth={place}").get_attribute("aria-sort")
        known = [value for value in orders[-1] if value != ""]
        assert known == sorted(known, reverse=said == "descending")
        assert orders[-1][: len(known)] == known  # what has no value comes last both ways
    assert len(orders[0]) == 5
    if len({value for value in orders[0] if value != ""}) > 1:
        assert orders[0] != orders[1]
    assert (column == "parameters") == ("" in orders[0])


def test_the_filter_keeps_rows_and_figures_follow(desk: Opened) -> None:
    field = desk.page.get_by_label("Filter")
    field.fill("OTHER")
    assert desk.texts("[data-count=t1]") == ["1 of 5 rows"]
    assert [text.split("\n")[0] for text in desk.texts("#t1-rows tbody tr:not([hidden]) th")] == ["other"]
    desk.wait_for("t1-cost", "t1-curves")
    assert desk.marks("t1-cost")[1] == 1
    assert desk.marks("t1-curves")[1] == 1
    field.fill("no such row")
    assert desk.texts("[data-count=t1]") == ["0 of 5 rows; the figures stay as they were"]
    field.fill("")
    assert desk.texts("[data-count=t1]") == ["5 rows"]
    desk.wait_for("t1-curves")
    assert desk.marks("t1-curves")[1] == 4  # the lone run has no history


def test_everything_by_keyboard(desk: Opened) -> None:
    page = desk.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(e => [e.tagName, Object.keys(e.dataset)[0] ?? ''].join(' '))(document.activeElement)"
        )
        if name == "BODY ":
            break
        reached.add(name)
    assert reached >= {
        "INPUT filter", "BUTTON sort", "SELECT variant", "SELECT signal", "BUTTON save", "SUMMARY ", "A ",
        "BUTTON saveTable",
    }  # fmt: skip
    page.locator("#t1-rows thead [data-sort='1']").focus()
    page.keyboard.press("Enter")
    assert page.locator("#t1-rows thead th >> nth=1").get_attribute("aria-sort") == "ascending"


def saved(desk: Opened, selector: str, to: Path) -> Path:
    """Clicks a button and keeps what is downloaded."""
    with desk.page.expect_download() as waiting:
        desk.page.locator(selector).click()
    waiting.value.save_as(to)
    return to


# In place of a download: at every eleventh one Chromium asks whether there may be more, and nobody answers.
KEEP = """() => {
  window.taken = [];
  const make = URL.createObjectURL.bind(URL);
  URL.createObjectURL = blob => { window.blob = blob; return make(blob); };
  HTMLAnchorElement.prototype.click = async function () {
    const {download: name} = this, bytes = new Uint8Array(await window.blob.arrayBuffer());
    window.taken.push([name, btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""))]);
  };
}"""


def taken(desk: Opened, selector: str) -> tuple[str, bytes]:
    """Clicks a button; the name and the content of the file that would be downloaded."""
    before = desk.page.evaluate("window.taken.length")
    desk.page.locator(selector).click()
    for _ in range(600):
        if desk.page.evaluate("window.taken.length") > before:
            name, content = desk.page.evaluate("window.taken.at(-1)")
            return name, base64.b64decode(content)
        desk.page.wait_for_timeout(50)
    pytest.fail(f"{selector}: nothing came")


def test_every_figure_can_be_taken_as_svg_png_and_csv(desk: Opened) -> None:
    desk.page.evaluate(KEEP)
    for key, figure in figures_of(desk).items():
        name, svg = taken(desk, f"#{key} [data-save=svg]")
        assert name == f"report-{key.replace('t1-', 'toy-')}.svg"
        assert b"var(" not in svg
        root = ElementTree.fromstring(svg)
        size = float(root.attrib["width"]), float(root.attrib["height"])
        with Image.open(io.BytesIO(taken(desk, f"#{key} [data-save=png]")[1])) as picture:
            assert picture.size == pytest.approx([2 * side for side in size], abs=2)
            assert len(picture.convert("L").getcolors(maxcolors=2**16) or range(2**16)) > 10  # not one colour
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        text = taken(desk, f"#{key} [data-save=csv]")[1].decode()
        head, *rows = csv.reader(io.StringIO(text))
        assert head == figure["columns"]
        assert len(rows) == len(figure["rows"])
        for line, row in zip(rows, figure["rows"], strict=True):
            for cell, value in zip(line, row, strict=True):
                is_number = isinstance(value, int | float)
                assert (float(cell) if is_number else cell) == ("" if value is None else value)


def test_the_table_can_be_taken(desk: Opened, runs: Path, tmp_path: Path) -> None:
    text = saved(desk, "[data-save-table=csv]", tmp_path / "table.csv").read_text(encoding="utf-8")
    content = json.loads(
        saved(desk, "[data-save-table=json]", tmp_path / "all.json").read_text(encoding="utf-8")
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    (table,) = content["tables"]
    assert [row["name"] for row in rows] == [setting["name"] for setting in table["settings"]]
    for row, setting in zip(rows, table["settings"], strict=True):
        for metric, known in setting["metrics"].items():
            for part in ("mean", "std", "low", "high"):
                cell = row[f"{metric}_{part}"]
                assert (float(cell) if cell else None) == (known or {}).get(part)
    assert (tmp_path / "all.json").stat().st_size > 5000
    assert read_and_compare([runs], View()).tables[0].num_images == table["num_images"]


def test_the_numbers_of_a_figure_can_be_read(desk: Opened) -> None:
    details = desk.page.locator("#t1-agreement details.data")
    details.locator("summary").click()
    details.locator("tbody tr").first.wait_for()
    assert details.locator("tbody tr").count() == len(figures_of(desk)["t1-agreement"]["rows"])
    assert desk.texts("#t1-agreement details.data thead th") == ["row", "other", "share"]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_scrolling_sideways(browser: Any, file: Path, width: int) -> None:
    found = opened(browser, file, width=width, height=844)
    for details in found.page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    found.page.wait_for_timeout(300)
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    found.page.context.close()
    assert found.complaints == []


def test_print_opens_what_is_folded_and_hides_buttons(desk: Opened) -> None:
    desk.page.emulate_media(media="print")
    desk.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert desk.page.evaluate("[...document.querySelectorAll('details:not(.data)')].every(one => one.open)")
    assert not desk.page.locator(".tools >> nth=0").is_visible()
    assert desk.page.pdf()[:5] == b"%PDF-"


def test_pictures_and_overlays_are_shown(desk: Opened) -> None:
    assert desk.page.locator("#t1-gallery .card img.small").count() > 10
    assert desk.page.locator("#t1-gallery .overlay img").count() > 5
    broken = desk.page.evaluate(
        "[...document.images].filter(one => !one.complete || one.naturalWidth < 10).length"
    )
    assert broken == 0


def test_a_page_that_follows_runs_reloads_and_keeps_its_place(
    browser: Any, runs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "watched.html"
    compared = read_and_compare([runs], View())
    file.write_text(page(compared, View(), reload_seconds=RELOAD_SECONDS), encoding="utf-8")
    desk = opened(browser, file, width=1000, height=800, own_clock=True)
    shown = desk.page
    shown.get_by_label("Filter").fill("o")
    shown.locator("#t1-rows thead [data-sort='1']").click()
    shown.locator("#t1-curves [data-variant]").select_option("2")
    shown.locator("#t1-how details >> nth=0").evaluate("one => { one.open = true; }")
    shown.evaluate("scrollTo(0, 900)")
    shown.evaluate("window.before = true")
    rows = shown.locator("#t1-rows tbody tr:not([hidden]) th").all_inner_texts()
    desk.load_again()
    assert not shown.evaluate("Boolean(window.before)")
    assert shown.locator("#t1-rows tbody tr:not([hidden]) th").all_inner_texts() == rows
    assert shown.get_by_label("Filter").input_value() == "o"
    assert shown.locator("#t1-curves [data-variant]").input_value() == "2"
    assert shown.locator("#t1-how details >> nth=0").evaluate("one => one.open")
    assert abs(shown.evaluate("scrollY") - 900) < 5
    shown.context.close()
    assert desk.complaints == []


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's source; `.ci/run` fetches it from npm."""
    path = os.environ.get("BAKEOFF_AXE")
    if path is None:
        assert os.environ.get("BAKEOFF_REQUIRE_BROWSER") != "1", "BAKEOFF_AXE is not set"
        pytest.skip("needs axe-core: BAKEOFF_AXE=.../axe.min.js")
    return Path(path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
)
def test_no_serious_finding_of_axe(browser: Any, file: Path, axe: str, scheme: str, width: int) -> None:
    found = opened(browser, file, width=width, scheme=scheme)
    for details in found.page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    found.page.evaluate(axe)
    result = found.page.evaluate("axe.run()")
    assert len(result["passes"]) > 15
    serious = [
        (
            one["id"],
            one["impact"],
            [node["target"] for node in one["nodes"]][:3],
            one["nodes"][0]["failureSummary"],
        )
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert not [text for text in found.complaints if not re.search("axe", text)]
    found.page.context.close()
