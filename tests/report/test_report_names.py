"""Names of strangers in every place that a name can stand: shown as text, and nothing of them runs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import chromium, opened
from hostile_names import HOSTILE
from reported_runs import write_epochs
from run_directories import make_run
from test_report_page import Page

from bakeoff.comparison.output.printing import read_and_compare
from bakeoff.comparison.view import View
from bakeoff.report.write import page
from bakeoff.runs.kept_images import write_test_images
from bakeoff.runs.rundir import RunDir
from bakeoff.text import printable

pytestmark = pytest.mark.usefixtures("report_extra")

TEST_HASH = "7a" * 32
A_REPORT = 20  # names


def make_named(root: Path, names: Sequence[str]) -> Path:
    """A report's worth of runs: each name is a model, a folder, a class, a key, a value, an error, a machine."""
    random = np.random.RandomState(0)
    labels = np.arange(200) % len(names)
    root.mkdir(parents=True)
    write_test_images(root, TEST_HASH, random.randint(0, 256, (200, 1, 8, 8), dtype=np.uint8), labels)
    for number, name in enumerate(names):
        folder = root / f"run {number:02} {name.replace('/', ' ')[:100]}"
        guesses = np.where(random.rand(200) < 0.02 * (number + 1), random.randint(0, len(names), 200), labels)
        rows = np.full((200, len(names)), 0.005, dtype=np.float32)
        rows[np.arange(200), guesses] = 0.8
        make_run(folder, number, f"setting {number}", model=name, stored=(labels, rows), test_split=TEST_HASH)
        config = json.loads((folder / "config.json").read_text())
        config["optim"] |= {"name": name, name: number}
        (folder / "config.json").write_text(json.dumps(config))
        write_epochs(folder, [0.5, 0.8])
        summary = json.loads((folder / "summary.json").read_text())
        for one, label in zip(summary["test"]["per_class"], names, strict=True):
            one["label"] = label
        summary |= {"data_title": names[0], "data": names[1], "weights": name}
        (folder / "summary.json").write_text(json.dumps(summary))
        machine = dict.fromkeys(("host", "device_name", "cpu", "git_commit", "torch", "driver"), name)
        (folder / "environment.json").write_text(json.dumps(machine | {"threads": 2}))
        failed = RunDir.create(root / f"bad {number:02} {name.replace('/', ' ')[:100]}")
        failed.write_config({"seed": 1, name: name}, [])
        failed.write_status("failed", 3, name)
        write_epochs(failed.path, [0.2])
    return root


def text_of(root: Path) -> str:
    return page(read_and_compare([root], View()), View())


def harmless(names: Sequence[str]) -> list[str]:
    """As many names of letters alone, of the same length where that decides what fits."""
    return [f"name{number:02}".ljust(min(len(name), 300), "x") for number, name in enumerate(names)]


def parts() -> list[Sequence[str]]:
    return [HOSTILE[start : start + A_REPORT] for start in range(0, len(HOSTILE), A_REPORT)]


def census(text: str) -> tuple[Counter[str], Counter[str]]:
    """Tags and names of attributes, as a browser's parser finds them."""
    import html5lib

    tree = html5lib.parse(text, namespaceHTMLElements=False)
    elements = [element for element in tree.iter() if isinstance(element.tag, str)]
    comments = sum(not isinstance(element.tag, str) for element in tree.iter())
    tags = Counter(element.tag for element in elements)
    tags["comment"] = comments
    return tags, Counter(name for element in elements for name in element.attrib)


@pytest.mark.slow
@pytest.mark.parametrize("names", parts(), ids=["markup", "expressions", "signs"])
def test_the_census_of_tags_is_that_of_harmless_names(tmp_path: Path, names: Sequence[str]) -> None:
    text = text_of(make_named(tmp_path / "hostile", names))
    tags, attributes = census(text)
    other_tags, other_attributes = census(text_of(make_named(tmp_path / "harmless", harmless(names))))
    assert tags == other_tags
    assert attributes == other_attributes
    assert tags["comment"] == 0
    assert tags["td"] > 200
    shown = "".join(Page(text).words)
    for name in names:
        assert printable(name)[:24].strip() in shown, name


def test_one_report_of_the_worst_names(tmp_path: Path) -> None:
    """The same by a lighter parser, in the quick tier."""
    names = [HOSTILE[place] for place in (0, 1, 2, 5, 6, 22, 30, 46, 49, 51)]
    found = Page(text_of(make_named(tmp_path / "hostile", names)))
    other = Page(text_of(make_named(tmp_path / "harmless", harmless(names))))
    assert Counter(tag for tag, _ in found.tags) == Counter(tag for tag, _ in other.tags)
    assert Counter(name for _, own in found.tags for name in own) == Counter(
        name for _, own in other.tags for name in own
    )
    (block,) = [text for _, own, text in found.blocks if own.get("id") == "data"]
    assert not set("<>&") & set(block)  # nothing that HTML knows, whatever state its parser is in
    told = found.data["comparison"]["tables"][0]["settings"]
    assert {setting["model"] for setting in told} == set(names)  # unchanged in the JSON


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("names", parts(), ids=["markup", "expressions", "signs"])
def test_nothing_of_a_name_runs(browser: Any, tmp_path: Path, names: Sequence[str]) -> None:
    file = tmp_path / "page.html"
    file.write_text(text_of(make_named(tmp_path / "runs", names)), encoding="utf-8")
    found = opened(browser, file)
    shown = found.page
    for details in shown.locator("details").all():
        details.locator("summary").first.click()
    for place in range(3):
        shown.locator("#t1-rows thead button").nth(place).click()
    figures = shown.locator("[data-figure]").evaluate_all("all => all.map(one => one.id)")
    shown.get_by_label("Filter").fill(names[0][:10])
    found.wait_for(*figures)
    shown.get_by_label("Filter").fill("")
    found.wait_for(*figures)
    for lists in shown.locator("select:visible").all():
        lists.select_option(index=lists.locator("option").count() - 1)
    found.wait_for(*figures)
    told = 0
    for key in ("scores", "pairs", "curves", "confusion", "classes"):
        mark = shown.locator(f"#t1-{key} .plot svg .role-mark > *").last
        mark.scroll_into_view_if_needed()
        mark.hover(force=True)
        shown.wait_for_timeout(300)
        told += shown.locator("#vg-tooltip-element.visible").count()
    assert told >= 2  # tooltips were there, of marks that nothing lies on
    assert shown.evaluate("window.canary") is None
    assert (
        shown.evaluate("document.querySelectorAll('#vg-tooltip-element img, .plot a, .plot image').length")
        == 0
    )
    assert shown.evaluate("document.documentElement.scrollWidth") == 1280
    assert found.complaints == []
    shown.context.close()
