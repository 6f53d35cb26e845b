"""The page as a file: its numbers, its policy, what it says of runs that cannot be compared."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from reported_runs import make_models, write_epochs
from run_directories import make_run

from bakeoff.comparison.figures import NAMED_FIGURES
from bakeoff.report.charts.confusion import class_labels
from bakeoff.report.charts.theme import distinct
from bakeoff.runs.rundir import RunDir

pytestmark = pytest.mark.usefixtures("report_extra")


class Page(HTMLParser):
    """What stands in a page: tags with their attributes, cells of the table, texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[str, dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.rows: list[dict[str, dict[str, str]]] = []  # of tables of results: column -> cell
        self._cell: dict[str, str] | None = None
        self.feed(text)
        found = next(content for _, attributes, content in self.blocks if attributes.get("id") == "data")
        self.data: dict[str, Any] = json.loads(found)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        own = dict(attributes)
        self.tags.append((tag, own))
        if tag in ("script", "style"):
            self.blocks.append((tag, own, ""))
        if tag == "tr" and "data-label" in own:
            self.rows.append({})
        if "data-column" in own:
            self._cell = {"sort": own["data-sort-value"] or "", "text": ""}
            self.rows[-1][own["data-column"] or ""] = self._cell

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, text: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style") and self.blocks and not self.blocks[-1][2]:
            self.blocks[-1] = (*self.blocks[-1][:2], text)
            return
        self.words.append(text)
        if self._cell is not None:
            self._cell["text"] += f" {text.strip()}"


@pytest.fixture
def page_of(bakeoff: Bakeoff, tmp_path: Path) -> Callable[..., Page]:
    def make(*arguments: str, code: int = 0) -> Page:
        output = tmp_path / "page.html"
        found, _, error = bakeoff("report", *arguments, "-o", str(output))
        assert (found, error) == (code, "")
        return Page(output.read_text(encoding="utf-8"))

    return make


MODELS = {"good": 0.1, "middle": 0.15, "bad": 0.4}


def test_its_numbers_are_those_of_the_json(
    page_of: Callable[..., Page], bakeoff: Bakeoff, tmp_path: Path
) -> None:
    """The page's own JSON to the last digit, and each visible cell as far as it is rounded."""
    make_models(tmp_path / "runs", MODELS)
    page = page_of(str(tmp_path / "runs"))
    _, out, _ = bakeoff("compare", str(tmp_path / "runs"), "--format", "json")
    wanted = json.loads(out)
    assert page.data["comparison"] == wanted
    (table,) = wanted["tables"]
    assert len(page.rows) == len(table["settings"]) == 3
    seen = 0
    for row, setting in zip(page.rows, table["settings"], strict=True):
        assert row["configuration"]["sort"] == setting["name"]
        assert row["n"]["text"].strip() == str(setting["num_runs"])
        assert row["group"]["text"].strip() == setting["tie_group"]
        for name, cell in row.items():
            if figure := NAMED_FIGURES.get(name):
                known = setting["metrics"][figure.name]
                assert float(cell["sort"]) == known["mean"]
                scatters = figure.is_cost
                shown = [known["mean"], *([known["std"]] if scatters and known["std"] else [])]
                shown += [] if scatters else [known["low"], known["high"]]
                told = [
                    float(text.replace(",", "")) for text in re.findall(r"-?\d[\d,]*(?:\.\d+)?", cell["text"])
                ]
                wanted_text = [round(value * figure.factor, figure.decimals) for value in shown]
                assert told == pytest.approx(wanted_text, abs=0.6 * 10**-figure.decimals)
                seen += 1
    assert seen == 3 * 5  # accuracy, macro-F1, NLL, seconds, parameters


def test_the_numbers_of_its_figures_are_those_of_the_json(
    page_of: Callable[..., Page], tmp_path: Path
) -> None:
    make_models(tmp_path / "runs", MODELS)
    page = page_of(str(tmp_path / "runs"))
    (table,) = page.data["comparison"]["tables"]
    names = {
        setting["setting"]: label
        for setting, label in zip(table["settings"], page.data["rows"]["t1"], strict=True)
    }

    def records(key: str) -> list[dict[str, Any]]:
        figure = page.data["figures"][f"t1-{key}"]
        return [dict(zip(figure["columns"], row, strict=True)) for row in figure["rows"]]

    scores = {(one["row"], one["score"]): one for one in records("scores") if one["seed"] == ""}
    for setting in table["settings"]:
        for score in ("accuracy", "macro_f1", "nll"):
            known, drawn = setting["metrics"][score], scores[names[setting["setting"]], score]
            assert [drawn["value"], drawn["low"], drawn["high"]] == [
                known["mean"],
                known["low"],
                known["high"],
            ]
    pairs = {(one["a"], one["b"], one["score"]): one for one in records("pairs")}
    assert len(pairs) == len(table["pairs"]) == 9
    for pair in table["pairs"]:
        drawn = pairs[names[pair["a"]], names[pair["b"]], pair["metric"]]
        factor = 1 if pair["metric"] == "nll" else 100
        for part in ("difference", "low", "high"):
            assert drawn[part] == pair[part] * factor
        assert drawn["p_adjusted"] == pair["p_adjusted"]
        assert (drawn["verdict"] == "proven") == (pair["p_adjusted"] < 0.05)
    costs = {one["row"]: one for one in records("cost") if one["cost"] == "train_seconds"}
    for setting in table["settings"]:
        drawn = costs[names[setting["setting"]]]
        assert drawn["value"] == setting["metrics"]["train_seconds"]["mean"]
        assert drawn["accuracy"] == setting["metrics"]["accuracy"]["mean"]
    for setting in table["settings"]:  # the diagonal of a confusion matrix holds the accuracy
        own = [one for one in records("confusion") if one["row"] == names[setting["setting"]]]
        right = sum(one["images"] for one in own if one["true"] == one["predicted"])
        assert right / table["num_images"] == pytest.approx(setting["metrics"]["accuracy"]["mean"])
        assert sum(one["images"] for one in own) == pytest.approx(table["num_images"])


def test_nothing_but_its_own_scripts_and_nothing_from_elsewhere(
    page_of: Callable[..., Page], tmp_path: Path
) -> None:
    page = page_of(str(make_models(tmp_path / "runs", MODELS)))
    (policy,) = [
        own["content"] for tag, own in page.tags if own.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in policy
    for kind, source in (("script", "script-src"), ("style", "style-src")):
        hashes = {
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for tag, own, text in page.blocks
            if tag == kind and own.get("type") != "application/json"
        }
        assert hashes == set(directives[source].split())
    for tag, own in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") or name == "style" for name in own)
        for name in ("src", "href", "action", "srcset"):
            assert own.get(name, "#")[:1] == "#" or own[name].startswith("data:image/png;base64,")  # type: ignore[index, union-attr]
    anchors = {own["id"] for _, own in page.tags if "id" in own}
    assert {own["href"][1:] for _, own in page.tags if own.get("href")} <= anchors  # type: ignore[index]


def test_one_run_and_runs_without_a_result(page_of: Callable[..., Page], tmp_path: Path) -> None:
    root = tmp_path / "runs"
    make_run(root / "good-0", 0, "good")
    write_epochs(root / "good-0", [0.5, 0.8])
    for name, status, error in (
        ("dead-1", "diverged", "step 7: the loss is nan"),
        ("went-2", "interrupted", None),
    ):
        run = RunDir.create(root / name)
        run.write_config({"seed": 1}, [])
        run.write_status(status, 7, error)
        write_epochs(root / name, [0.3])
    page = page_of(str(root), code=7)
    text = " ".join(page.words)
    assert "step 7: the loss is nan" in text
    assert [row["configuration"]["sort"] for row in page.rows] == ["cnn"]
    assert page.data["figures"].keys() >= {"t1-scores", "t1-curves", "t1-confusion", "unfinished-curves"}
    assert "t1-pairs" not in page.data["figures"]
    assert "t1-agreement" not in page.data["figures"]
    told = {row[0] for row in page.data["figures"]["unfinished-curves"]["rows"]}
    assert told == {"dead-1 (diverged)", "went-2 (interrupted)"}
    alone = page_of(str(root / "good-0"))
    assert len(alone.rows) == 1
    nothing = page_of(str(root / "went-2"), code=7)
    assert "No finished run yet" in " ".join(nothing.words)
    assert nothing.rows == []
    assert list(nothing.data["figures"]) == ["unfinished-curves"]


def test_two_test_sets_are_two_parts_with_anchors_of_their_own(
    page_of: Callable[..., Page], tmp_path: Path
) -> None:
    for seed in range(2):
        make_run(tmp_path / "runs" / f"a{seed}", seed, "a")
        make_run(tmp_path / "runs" / f"b{seed}", seed, "b", test_split="t1", count=50)
    page = page_of(str(tmp_path / "runs"))
    assert list(page.data["rows"]) == ["t1", "t2"]
    assert page.data["files"] == {"t1": "toy-test-images-t0", "t2": "toy-test-images-t1"}
    anchors = [own["id"] for _, own in page.tags if "id" in own]
    assert len(anchors) == len(set(anchors))


def test_runs_without_predictions_have_a_table_and_no_figures_of_mistakes(
    page_of: Callable[..., Page], tmp_path: Path
) -> None:
    make_models(tmp_path / "runs", {"one": 0.2}, seeds=2)
    for run in (tmp_path / "runs").iterdir():
        (run / "predictions.npz").unlink()
    page = page_of(str(tmp_path / "runs"))
    assert len(page.rows) == 1
    assert {key.partition("-")[2] for key in page.data["figures"]} == {"scores", "curves", "cost"}


def test_a_hundred_classes_and_thirty_rows(page_of: Callable[..., Page], tmp_path: Path) -> None:
    """More than can be drawn at once: figures choose, numbers say what was left out, nothing is lost."""
    random = np.random.RandomState(0)
    labels = np.arange(400) % 100
    for number in range(30):
        guesses = np.where(random.rand(400) < 0.2, random.randint(0, 100, 400), labels)
        rows = np.full((400, 100), 0.001, dtype=np.float32)
        rows[np.arange(400), guesses] = 0.9
        changes = {"optim.lr": 0.001 * (number + 1)}
        make_run(tmp_path / "runs" / f"r{number}", 0, f"s{number}", changes=changes, stored=(labels, rows))
    page = page_of(str(tmp_path / "runs"))
    assert len(page.rows) == 30
    confusion = page.data["figures"]["t1-confusion"]
    assert len({row[1] for row in confusion["rows"]}) == 40
    assert "40 of 100 classes" in " ".join(page.words)
    assert "t1-pairs" not in page.data["figures"]  # more than 20 rows without a baseline
    with_baseline = page_of(str(tmp_path / "runs"), "--baseline", "1", "--top", "5")
    pairs = with_baseline.data["figures"]["t1-pairs"]
    assert len(pairs["rows"]) == 3 * 4
    assert len(with_baseline.rows) == 5


def test_compare_writes_the_same_page(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_models(tmp_path / "runs", {"one": 0.2})
    one, other = tmp_path / "one.html", tmp_path / "other.html"
    assert bakeoff("report", str(tmp_path / "runs"), "-o", str(one))[0] == 0
    assert bakeoff("compare", str(tmp_path / "runs"), "--format", "html", "-o", str(other)) == (0, "", "")

    def without_time(path: Path) -> str:
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "", path.read_text(encoding="utf-8"))

    assert without_time(one) == without_time(other)
    code, _, error = bakeoff("compare", str(tmp_path / "runs"), "--format", "html")
    assert (code, error) == (2, "error: --format html: give a file, such as -o report.html\n")
    code, _, error = bakeoff("compare", "x", "--format", "html", "-o", "y", "--no-statistics")
    assert code == 2


def test_every_specification_is_vega_lites(page_of: Callable[..., Page], tmp_path: Path) -> None:
    """Altair checks none of them while a page is made, since that takes two thirds of the time."""
    import altair
    from jsonschema import ValidationError

    page = page_of(str(make_models(tmp_path / "runs", MODELS)))
    specs = [variant["spec"] for figure in page.data["figures"].values() for variant in figure["variants"]]
    assert len(specs) > 20
    for spec in specs:
        altair.LayerChart.from_dict({**spec, "data": {"name": "data"}}, validate=True)
        broken = json.loads(json.dumps(spec).replace('"type": "quantitative"', '"type": "a number"'))
        if broken != spec:
            with pytest.raises(ValidationError):
                altair.LayerChart.from_dict({**broken, "data": {"name": "data"}}, validate=True)


def test_names_of_classes_and_rows_stay_apart_in_figures() -> None:
    """Two that are called alike would share a cell, and their numbers would be added."""
    assert class_labels(["x", "1: x", "x"]) == ["0: x", "1: x", "2: x"]
    labels = class_labels(["x", "2: x", "x", "no prediction", "y" * 30, "y" * 40, "constructor"])
    assert len(set(labels)) == 7
    assert not {"no prediction", "constructor"} & set(labels)
    assert distinct(["cnn", "row 2"]) == ["cnn", "row 2"]
    assert len(set(distinct(["1: cnn", "cnn", "cnn", " ", "all pairs"]))) == 5
