"""`bakeoff.compare`, `load`, `predictions` and what they give: tables, models, what a notebook shows."""

import doctest
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compared_runs import make_tree
from conftest import Bakeoff
from PIL import Image, ImageDraw
from run_directories import make_run
from tiny_run import train

import bakeoff as package
from bakeoff.deploy.python.model import Predictions
from bakeoff.deploy.python.run import FinishedRun
from bakeoff.errors import ConfigError, DataError, RunsDifferError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CNN that has seen the digits once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
        return train(tmp_path_factory.mktemp("trained") / "outputs")


def test_a_comparison_is_the_commands(tmp_path: Path, bakeoff: Bakeoff) -> None:
    make_tree(tmp_path / "runs")
    result = package.compare(tmp_path / "runs")
    code, out, _ = bakeoff("compare", str(tmp_path / "runs"))
    assert (code, out.rstrip("\n")) == (0, str(result))
    assert repr(result) == str(result)
    stored = json.loads(bakeoff("compare", str(tmp_path / "runs"), "--format", "json")[1])
    settings = [row for table in stored["tables"] for row in table["settings"]]
    assert list(result.table["name"]) == [row["name"] for row in settings]
    assert list(result.table["seeds"]) == [row["seeds"] for row in settings]
    for part in ("mean", "std", "low", "high"):
        wanted = [row["metrics"]["accuracy"][part] for row in settings]
        np.testing.assert_array_equal(result.table[f"accuracy_{part}"], np.array(wanted, dtype=float))
    pairs = [pair for table in stored["tables"] for pair in table["pairs"]]
    assert list(result.pairs["a_setting"]) == [pair["a"] for pair in pairs]
    assert list(result.pairs["difference"]) == [pair["difference"] for pair in pairs]
    assert list(result.pairs["differs"]) == [pair["p_adjusted"] < 0.05 for pair in pairs]
    of_several = [f"{table['title']}: {text}" for table in stored["tables"] for text in table["verdict"]]
    assert result.verdict == of_several


def test_what_a_comparison_shows_can_be_chosen(tmp_path: Path) -> None:
    make_tree(tmp_path)
    result = package.compare(tmp_path, where="optim.lr == 0.25", columns=["seeds"], statistics=False)
    assert list(result.table["optim.lr"]) == [0.25]
    assert "seeds" in str(result)
    assert result.pairs.empty
    with pytest.raises(ConfigError, match="cost=time: it must be"):
        package.compare(tmp_path, cost="time")
    with pytest.raises(ConfigError, match="max_latency_ms=0: milliseconds above 0"):
        package.compare(tmp_path, max_latency_ms=0)
    assert (
        package.compare(tmp_path, columns="seeds, accuracy").table.shape
        == package.compare(tmp_path).table.shape
    )
    with pytest.raises(ConfigError, match="no such configuration"):
        package.compare(tmp_path, baseline="nobody")


WRONG = [{"top": 0}, {"top": "2"}, {"top": 1.5}, {"sort": 3}, {"where": 3}, {"baseline": 1}, {"columns": None},
         {"columns": [1]}, {"cost": [1]}, {"max_latency_ms": "1ms"}, {"top": -1}]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_arguments_of_another_kind_are_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    make_run(tmp_path / "run")
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}="):
        package.compare(tmp_path, **wrong)


def test_runs_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    make_run(tmp_path / "good")
    make_run(tmp_path / "bad", 1)
    (tmp_path / "bad" / "summary.json").write_text("{")
    result = package.compare(tmp_path)
    assert [line.partition(":")[0] for line in result.problems] == ["bad"]


def test_a_notebook_shows_names_of_others_as_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    make_run(tmp_path / "a", model=hostile)
    make_run(tmp_path / "b", 1, "b", changes={"optim.lr": '"><img src=x onerror=y>'})
    shown = package.compare(tmp_path)._repr_html_()
    shown += FinishedRun(tmp_path / "a")._repr_html_()
    assert "&lt;script&gt;" in shown
    assert not re.search(r"<(script|img)|\x1b", shown)
    tags = set(re.findall(r"<(\w+)", shown))
    assert tags <= {"p", "strong", "br", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code"}


def test_a_notebook_shows_what_the_terminal_does(tmp_path: Path) -> None:
    make_tree(tmp_path)
    result = package.compare(tmp_path)
    shown = result._repr_html_()
    assert shown.count("<table>") == 2
    for sentence in result.verdict:
        assert sentence.partition(": ")[2].replace(">", "&gt;") in shown


def test_stored_predictions_are_a_table(run: Path) -> None:
    table = package.predictions(run)
    stored = np.load(run / "predictions.npz")
    assert list(table.columns[:5]) == ["index", "true", "predicted", "correct", "probability"]
    np.testing.assert_array_equal(table[[f"p({digit})" for digit in range(10)]], stored["probabilities"])
    assert list(table["true"]) == [str(label) for label in stored["label"]]
    assert table["correct"].mean() == FinishedRun(run).accuracy
    assert (table["correct"] == (table["true"] == table["predicted"])).all()
    assert len(package.predictions(FinishedRun(run), "val")) == 200
    with pytest.raises(ConfigError, match='split="vall": it must be test or val; did you mean val'):
        package.predictions(run, "vall")


def test_an_image_without_a_prediction_has_none(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 3)  # its fourth row is zeros
    table = package.predictions(tmp_path / "run")
    assert table["predicted"].isna().tolist() == [row == 3 for row in range(60)]
    assert (table["correct"][3], table["probability"][3]) == (False, 0.0)


def test_runs_of_others_are_read_with_distrust(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    make_run(tmp_path / "pruned", 1)
    (tmp_path / "run" / "predictions.npz").write_bytes(b"PK damaged")
    with pytest.raises(RunsDifferError, match="damaged"):
        package.predictions(tmp_path / "run")
    with pytest.raises(RunsDifferError, match="no weights"):
        package.load(tmp_path / "pruned")
    with pytest.raises(ConfigError, match="run nobody: "):
        package.load("nobody")


def test_classes_that_are_not_named_each_once_are_refused(run: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "run"))
    summary = json.loads((copied / "summary.json").read_text())
    classes = summary["test"]["per_class"]
    summary["test"]["per_class"] = [one | {"label": "0"} for one in classes]
    (copied / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(RunsDifferError):
        package.load(copied)
    with pytest.raises(RunsDifferError):
        package.predictions(copied)


def images(run: Path) -> np.ndarray:
    with np.load(next((run.parents[1] / "datasets").glob("*.npz"))) as kept:
        return np.array(kept["images"])


def test_a_loaded_model_predicts_what_its_run_has_stored(run: Path) -> None:
    before = torch.get_rng_state()
    model = package.load(run)
    assert torch.equal(torch.get_rng_state(), before)
    pixels, stored = images(run), np.load(run / "predictions.npz")["probabilities"]
    found = model.predict(pixels)
    np.testing.assert_allclose(found.probabilities, stored, atol=1e-6)
    assert found.labels == list(package.predictions(run)["predicted"])
    assert (model.class_names, model.shape, model.path) == (tuple("0123456789"), (1, 8, 8), run)
    first = found[0]
    assert (first.label, first.probability) == first.top[0]
    assert sum(share for _, share in first.top) == pytest.approx(1, abs=1e-5)
    assert len(found) == 400
    assert found[:3].labels == found.labels[:3]


def test_images_may_come_in_each_usual_shape(run: Path) -> None:
    model, pixels = package.load(run), images(run)[:4]
    wanted = model.predict(pixels).probabilities
    for same in (pixels[:, 0], torch.from_numpy(pixels), torch.from_numpy(pixels[:, 0]), list(pixels)):
        if isinstance(same, list):
            rows = np.concatenate([model.predict(one).probabilities for one in same])
        else:
            rows = model.predict(same).probabilities
        np.testing.assert_array_equal(rows.argmax(axis=1), wanted.argmax(axis=1))
        np.testing.assert_allclose(rows, wanted, atol=1e-2)  # bf16: the size of a batch changes last bits
    assert len(model.predict(pixels[0, 0])) == 1
    assert len(model.predict(pixels[:0])) == 0


def test_colour_may_come_last(run: Path) -> None:
    class Colourful:
        run, shape, class_names = None, (3, 4, 5), ("a",)

        def set_up_again(self) -> None:
            pass

        def probabilities(self, images: torch.Tensor) -> np.ndarray:
            return images.float().mean((2, 3)).numpy()

    from bakeoff.deploy.python.model import Model

    model = Model.__new__(Model)
    model._trained, model.class_names = Colourful(), ("a", "b", "c")  # type: ignore[assignment]
    pixels = np.arange(120, dtype=np.uint8).reshape(2, 3, 4, 5)
    first = model.predict(pixels).probabilities
    np.testing.assert_array_equal(model.predict(pixels.transpose(0, 2, 3, 1)).probabilities, first)
    np.testing.assert_array_equal(model.predict(pixels.transpose(0, 2, 3, 1)[1]).probabilities, first[1:])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((2, 1, 8, 8), np.float32), r"images of float32: give bytes"),
        (
            np.zeros((2, 1, 9, 8), np.uint8),
            r"images of shape \(2, 1, 9, 8\): this model takes \(n, 1, 8, 8\)",
        ),
        (np.zeros((8,), np.uint8), r"images of shape \(8,\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"images of shape \(2, 3, 8, 8\)"),
    ],
)
def test_images_of_another_kind_are_refused(run: Path, wrong: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        package.load(run).predict(wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (None, "a NoneType: give an array, or paths, or pictures of Pillow"),
        (3, "a int: give an array"),
        ([3], "a int among the images"),
        (np.array([None]), "images of object: give bytes"),
        (np.zeros((1, 1, 8, 8), ">u2"), "images of >u2: give bytes"),
        (torch.zeros((1, 1, 8, 8), dtype=torch.uint8).to_sparse(), "give bytes"),
        (Image.new("L", (0, 0)), "a picture without pixels"),
        ("no.png", "no.png: No such file"),
    ],
)
def test_what_is_no_image_is_named(run: Path, wrong: Any, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        package.load(run).predict(wrong)


def test_arrays_that_cannot_be_written_are_no_trouble(run: Path) -> None:
    read_only = np.frombuffer(bytes(64), dtype=np.uint8).reshape(1, 1, 8, 8)
    assert len(package.load(run).predict(read_only)) == 1  # a warning would be an error here


def test_pictures_come_from_paths_and_from_pillow(run: Path, tmp_path: Path) -> None:
    paper = Image.new("L", (300, 200), 220)
    ImageDraw.Draw(paper).line([(150, 30), (150, 170)], fill=30, width=18)
    paper.save(tmp_path / "one.png")
    model = package.load(run)
    found = model.predict([paper, str(tmp_path / "one.png"), tmp_path / "one.png"])
    assert {one.note for one in found} == {"inverted and centred"}
    assert len(np.unique(found.probabilities, axis=0)) == 1
    assert model.predict(paper)[0].label == found[0].label
    assert model.predict(paper, as_is=True)[0].note is None
    assert found.table["picture"].tolist()[1:] == [str(tmp_path / "one.png")] * 2
    arrays = model.prepare([paper, tmp_path / "one.png"])
    assert (arrays.shape, arrays.dtype) == ((2, 1, 8, 8), np.uint8)
    np.testing.assert_array_equal(
        model.predict(arrays).probabilities[0], model.predict(arrays)[:1].probabilities[0]
    )
    blank = model.predict(Image.new("L", (90, 90), 255))
    assert repr(blank).endswith("%, no ink found)]")
    assert list(found.table["note"]) == ["inverted and centred"] * 3
    assert re.fullmatch(r"\[(\d \(\d+\.\d\d %\)(, )?){3}\]", repr(found))


def test_many_predictions_are_gone_through_in_no_time(run: Path) -> None:
    nothing = (None,) * 20_000
    found = Predictions(("a", "b"), np.full((20_000, 2), 0.5, dtype=np.float32), nothing, nothing)
    began = time.perf_counter()
    assert sum(one.label == "a" for one in found) == 20_000
    assert time.perf_counter() - began < 10  # 200 s if each asks for all


def test_a_finished_run_is_shown_and_read(run: Path) -> None:
    found = FinishedRun(run)
    assert repr(found).startswith("cnn on digits, seed 0: test accuracy ")
    assert list(found.epochs["epoch"]) == [1]
    assert found.epochs["val.accuracy"][0] == found.summary["val"]["accuracy"]
    assert Path(found) == run


def test_a_run_of_an_open_race_is_not_opened(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.deploy.finished.is_sealed", lambda path: True)
    for use in (package.load, package.predictions):
        with pytest.raises(ConfigError, match="its race or search has not ended"):
            use(run)
    assert len(package.predictions(run, "val")) == 200


@pytest.mark.slow  # trains four times
@pytest.mark.usefixtures("no_pictures")
def test_the_examples_in_the_texts_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = np.arange(200) % 5
    for model, wrong in (("cnn", 4), ("vit", 50)):
        for seed in (0, 1):
            rows = np.full((200, 5), 0.05, dtype=np.float32)
            rows[np.arange(200), np.where(np.arange(200) < wrong, (labels + 1) % 5, labels)] = 0.8
            make_run(Path("runs") / f"{model}{seed}", seed, model, model=model, stored=(labels, rows))
    few: dict[str, Any] = {"optim": {"warmup_epochs": 0}, "trainer": {"epochs": 1, "threads": 1}}
    names = {"RUN": run, "RUNS": "runs", "FEW_EPOCHS": few}
    found = doctest.DocTestFinder(exclude_empty=True).find(package, globs=names)
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    examples = {test.name.rpartition(".")[2]: runner.run(test) for test in found if test.examples}
    assert sorted(examples) == ["compare", "load", "load_runs", "predictions", "sweep", "train"]
    assert not [name for name, result in examples.items() if result.failed or not result.attempted]
