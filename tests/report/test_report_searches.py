"""Searches in a report: what their figures say, and that they are drawn, also of hostile names."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import chromium, opened
from hostile_names import HOSTILE
from reported_runs import write_epochs
from run_directories import make_run
from searched import ENDED, confirmed, trial, write_tune
from searched_runs import KEYS, write_searches
from test_report_page import Page

from bakeoff.comparison.output.printing import read_and_compare
from bakeoff.comparison.statistics.expected_best import expected_best
from bakeoff.comparison.view import View
from bakeoff.report.importance import importance_of, is_log, positions
from bakeoff.report.searches import Searches, searches_of
from bakeoff.report.write import page

pytestmark = pytest.mark.usefixtures("report_extra")


def found_in(root: Path) -> Searches:
    compared = read_and_compare([root], View())
    searches = searches_of(compared.tables, compared.problems)
    assert searches is not None
    return searches


def figure_rows(searches: Searches, key: str) -> list[dict[str, Any]]:
    figure = searches.figures[key]
    return [dict(zip(figure.columns, row, strict=True)) for row in figure.rows]


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> Searches:
    return found_in(write_searches(tmp_path_factory.mktemp("searched")))


def test_each_study_has_its_figures(searches: Searches) -> None:
    assert {*searches.figures} == {
        "searches-tuning", "s1-history", "s1-importance", "s1-parallel", "s2-history", "s2-importance", "s2-parallel",
    }  # fmt: skip
    assert [study.title for study in searches.studies] == ["cnn", "vit"]
    assert (
        "50 trials planned: 33 finished, 6 stopped early, 1 failed; sampler tpe" in searches.studies[0].about
    )


def test_the_curve_is_the_expected_best(searches: Searches) -> None:
    history = figure_rows(searches, "s2-history")
    wanted = expected_best([row["value"] for row in history], range(1, 25))
    rows = [row for row in figure_rows(searches, "searches-tuning") if row["row"] == "vit"]
    assert [(row["trials"], row["value"], row["low"]) for row in rows] == [
        (one.trials, one.value, one.low) for one in wanted
    ]


def test_the_history_marks_what_ended_early(searches: Searches) -> None:
    rows = figure_rows(searches, "s1-history")
    assert [row["trial"] for row in rows] == list(range(40))
    states = [row["state"] for row in rows]
    assert states[3] == states[10] == "stopped early"
    assert states[5] == "failed"
    assert rows[5]["value"] == min(row["value"] for row in rows)
    best = -math.inf
    for row in rows:
        best = max(best, row["value"]) if row["state"] == "finished" else best
        assert row["best"] == best


def test_the_key_that_decides_is_the_most_important(searches: Searches) -> None:
    rows = figure_rows(searches, "s1-importance")
    assert rows[0]["key"] == "optim.lr"
    assert rows[0]["share"] > 0.7
    assert math.isclose(sum(row["share"] for row in rows), 1)
    assert {row["key"] for row in rows} == {*KEYS}


def test_a_line_for_each_trial_with_a_value(searches: Searches) -> None:
    rows = figure_rows(searches, "s1-parallel")
    trials = [row for row in rows if row["kind"] == "trial"]
    assert len({row["trial"] for row in trials}) == 39
    assert {row["axis"] for row in trials} == {*KEYS, "val.accuracy"}
    best = max(
        (row for row in figure_rows(searches, "s1-history") if row["state"] == "finished"),
        key=lambda r: r["value"],
    )
    assert {row["trial"] for row in trials if row["rank"] == 1} == {best["trial"]}
    ends = [row["shown"] for row in rows if row["kind"] == "end" and row["axis"] == "model.depth"]
    assert ends == ["2", "6"]
    assert all(row["shown"].endswith(" %") for row in trials if row["axis"] == "val.accuracy")


def test_of_few_trials_nothing_is_said_of_keys(tmp_path: Path) -> None:
    make_run(tmp_path / "again", 1, "again", model="cnn")
    for count in (1, 9):
        results = [trial("cnn", number, 0.9 + number / 100) for number in range(count)]
        write_tune(tmp_path, results, again=[confirmed("cnn", 1, 0, ["again"])], ended=ENDED)
        wanted = {"searches-tuning", "s1-history"} | ({"s1-parallel"} if count > 1 else set())
        assert {*found_in(tmp_path).figures} == wanted


def test_what_was_stopped_early_is_never_the_best_and_teaches_no_forest(tmp_path: Path) -> None:
    make_run(tmp_path / "again", 1, "again", model="cnn")
    make_run(tmp_path / "stopped", 2, "stopped", model="cnn")
    (tmp_path / "stopped" / "summary.json").unlink()
    write_epochs(tmp_path / "stopped", [0.999])
    results = [trial("cnn", number, 0.9 + number / 100) for number in range(9)]
    results.insert(4, trial("cnn", 20, None, "stopped", state="pruned"))
    results += [trial("cnn", number, None, "stopped", state="pruned") for number in range(21, 25)]
    write_tune(tmp_path, results, again=[confirmed("cnn", 1, 0, ["again"])], ended=ENDED)
    found = found_in(tmp_path)
    assert "s1-importance" not in found.figures
    rows = figure_rows(found, "s1-history")
    assert max(row["value"] for row in rows) == 0.999
    assert max(row["best"] for row in rows) == 0.98


def test_importance_needs_what_can_be_told() -> None:
    random = np.random.default_rng(0)
    params = [{"a": float(random.random()), "b": int(random.integers(3)), "c": "same"} for _ in range(30)]
    found = importance_of(params, [one["a"] for one in params])
    assert found is not None
    assert {*found.shares} == {"a", "b"}
    assert found.shares["a"] > 0.9
    assert found.explained > 0.8
    assert importance_of(params[:9], [one["a"] for one in params[:9]]) is None  # too few
    assert importance_of(params, [0.5] * 30) is None
    assert importance_of([{"c": "same"}] * 30, random.random(30).tolist()) is None
    assert importance_of(params, random.random(30).tolist()) is None  # noise


def test_places_on_an_axis() -> None:
    assert positions([1, 2, 5]) == [0, 0.25, 1]
    assert positions([0.001, 0.01, 0.1]) == pytest.approx([0, 0.5, 1])
    assert positions(["b", "a", "c"]) == [0.5, 0, 1]
    assert positions([True, None]) == [1, 0]
    assert positions([3, 3]) == [0.5, 0.5]
    assert positions([0.1, "auto"]) == [0, 1]
    assert not is_log([-1.0, 100.0])


def test_without_searches_a_page_has_no_section(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "one", 0)
    text = page(read_and_compare([tmp_path], View()), View())
    assert 'id="searches"' not in text


def hostile(root: Path) -> Path:
    """Names of strangers as studies, keys, values, sampler and metric."""
    names = HOSTILE[:40:3]
    results = []
    for place, name in enumerate(names):
        make_run(root / f"again {place}", 1, f"again {place}", model="cnn")
        for number in range(5 if place else 12):  # of one study there is enough for all figures
            params = {name: names[(number + place) % len(names)], "__proto__": number, "x": number % 3}
            results.append(trial(name, number, 0.9 + number / 100, params=params))
    again = [confirmed(name, 1, 0, [f"again {place}"]) for place, name in enumerate(names)]
    write_tune(root, results, again=again, ended=ENDED, metric=HOSTILE[1])
    path = root / "tune.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sampler": HOSTILE[2], "pruner": HOSTILE[0]}))
    return root


def test_hostile_names_are_text(tmp_path: Path) -> None:
    found = Page(page(read_and_compare([hostile(tmp_path)], View()), View()))
    tags = [tag for tag, _ in found.tags]
    assert tags.count("script") == 3
    assert not {"img", "iframe", "base"} & {*tags}
    (block,) = [text for _, own, text in found.blocks if own.get("id") == "data"]
    assert not set("<>&") & set(block)
    assert len(found.data["figures"]["searches-tuning"]["rows"]) == 12 + 11 * 5  # of 14 studies 12 are shown


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ordinary", "hostile"])
def test_every_layer_is_drawn_and_nothing_runs(browser: Any, tmp_path: Path, kind: str) -> None:
    root = write_searches(tmp_path) if kind == "ordinary" else hostile(tmp_path)
    file = tmp_path / "page.html"
    file.write_text(page(read_and_compare([root], View()), View()), encoding="utf-8")
    found = opened(browser, file)
    figures = found.page.evaluate("JSON.parse(document.getElementById('data').textContent).figures")
    ours = {key: figure for key, figure in figures.items() if key.startswith("s")}
    assert len(ours) >= 7
    for key, figure in ours.items():
        found.wait_for(key)
        (variant,) = figure["variants"]
        marks = found.marks(key)
        assert [layer for layer in range(len(variant["spec"]["layer"])) if not marks.get(layer)] == [], key
    assert found.page.evaluate("window.canary") is None
    assert found.page.evaluate("document.documentElement.scrollWidth") == 1280
    assert found.complaints == []
    found.page.context.close()
    narrow = opened(browser, file, width=390, height=844)
    assert narrow.page.evaluate("document.documentElement.scrollWidth") == 390
    narrow.page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_serious_finding_of_axe(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    path = os.environ.get("BAKEOFF_AXE")
    if path is None:
        assert os.environ.get("BAKEOFF_REQUIRE_BROWSER") != "1", "BAKEOFF_AXE is not set"
        pytest.skip("needs axe-core: BAKEOFF_AXE=.../axe.min.js")
    file = tmp_path / "page.html"
    file.write_text(page(read_and_compare([write_searches(tmp_path)], View()), View()), encoding="utf-8")
    found = opened(browser, file, width=width, scheme=scheme)
    for details in found.page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    found.page.evaluate(Path(path).read_text(encoding="utf-8"))
    violations = found.page.evaluate("axe.run()")["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []
    found.page.context.close()
