"""`bakeoff predict`: pictures of the user's own through trained models."""

import csv
import io
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff, files_below
from picture_files import broken_content, picture
from PIL import Image
from tiny_run import read, train

from bakeoff.data.sets.digits import _images_and_labels


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two of digits, of different seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakeoff.plots.figures.pictures", lambda *_: {})
        patch.setattr("bakeoff.plots.style.check", lambda: None)
        outputs = tmp_path_factory.mktemp("outputs")
        line = ("trainer.precision=fp32", "optim.lr=0.02", "model.channels=[8]", "trainer.batch_size=32")
        return [train(outputs, f"seed={seed}", *line) for seed in (0, 1)]


def test_images() -> tuple[np.ndarray, np.ndarray]:
    """Those of the digits' test split, uint8 [400, 8, 8], and their classes."""
    from importlib.resources import files

    images, labels = _images_and_labels()
    letters = files("bakeoff.data.sets").joinpath("digits_split.txt").read_text().strip()
    test = np.array([letter == "e" for letter in letters])
    return np.round(images[test] * (255 / 16)).astype(np.uint8), labels[test]


test_images.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 60 test images in folders of their classes."""
    root = tmp_path_factory.mktemp("pictures")
    for number, (image, label) in enumerate(zip(*test_images(), strict=True)):
        if number < 60:
            (root / str(label)).mkdir(exist_ok=True)
            Image.fromarray(image).save(root / str(label) / f"{number:03}.png")
    return root


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def number_of(line: dict[str, Any]) -> int:
    return int(Path(line["path"]).stem)


def stored(run: Path) -> np.ndarray:
    return np.load(run / "predictions.npz")["probabilities"]


def test_the_sets_own_test_images_get_the_predictions_of_the_run(
    runs: list[Path], folder: Path, bakeoff: Bakeoff
) -> None:
    code, out, err = bakeoff("predict", str(runs[0]), str(folder), "--json", "--top", "3")
    assert code == 0
    found, rows = lines(out), stored(runs[0])
    assert len(found) == 60
    for line in found:
        row = rows[number_of(line)]
        assert [one["class"] for one in line["top"]] == [str(each) for each in np.argsort(-row)[:3]]
        assert np.allclose([one["probability"] for one in line["top"]], np.sort(row)[::-1][:3], atol=1e-5)
        assert (line["predicted"], line["prepared"]) == (str(row.argmax()), None)
        assert line["probability"] == line["top"][0]["probability"]
        assert line["true"] == Path(line["path"]).parent.name
        assert "box" not in line
    right = sum(line["predicted"] == line["true"] for line in found)
    assert f"{right} of 60 pictures right (95 % interval: " in err


def test_several_runs_answer_by_the_mean(runs: list[Path], folder: Path, bakeoff: Bakeoff) -> None:
    code, out, err = bakeoff("predict", *map(str, runs), str(folder), "--json")
    assert code == 0
    assert "mean of the probabilities of 2 runs" in err
    mean = (stored(runs[0]) + stored(runs[1])) / 2
    for line in lines(out):
        row = mean[number_of(line)]
        assert line["predicted"] == str(row.argmax())
        assert line["probability"] == pytest.approx(row.max(), abs=1e-5)


def test_a_table_is_for_people(runs: list[Path], folder: Path, bakeoff: Bakeoff, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(folder)
    code, out, err = bakeoff("predict", str(runs[0]), "3", "7/", "--top", "2")
    assert (code, err) == (0, "")
    said, head, *lines_, score = out.splitlines()
    rows, others = lines_[::2], lines_[1::2]
    assert said.endswith("cnn trained on digits")
    assert head.split() == ["predicted", "probability", "true", "picture"]
    assert all(line.split()[0] == "then" for line in others)
    assert score.startswith("accuracy ")  # both folders are named as classes
    assert all(row.split()[2] == "%" for row in rows)
    assert all(row.split()[-2] == row.split()[-1][0] for row in rows)
    assert all(row.split()[-1].startswith(("3/", "7/")) for row in rows)
    assert all(len(row) <= 80 for row in rows)


def test_a_photograph_is_prepared_and_that_is_said(
    runs: list[Path], tmp_path: Path, bakeoff: Bakeoff
) -> None:
    sheet = np.full((200, 300), 230, np.uint8)
    sheet[60:140, 200:212] = 30
    Image.fromarray(sheet).save(tmp_path / "one.jpg")
    code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path / "one.jpg"))
    assert code == 0
    assert "made like the training images: 1 inverted and centred (of 1 picture); --as-is" in out
    (line,) = lines(bakeoff("predict", str(runs[0]), str(tmp_path / "one.jpg"), "--json")[1])
    assert line["prepared"] == "inverted and centred"
    code, out, _ = bakeoff("predict", str(runs[0]), "--as-is", str(tmp_path / "one.jpg"))
    assert "inverted" not in out
    (as_is,) = lines(bakeoff("predict", str(runs[0]), str(tmp_path / "one.jpg"), "--as-is", "--json")[1])
    assert as_is["prepared"] is None
    assert as_is["probability"] != line["probability"]


def test_broken_pictures_are_named_and_the_others_predicted(
    runs: list[Path], tmp_path: Path, bakeoff: Bakeoff
) -> None:
    for kind in ("empty", "text", "truncated", "too large"):
        (tmp_path / f"{kind}.png").write_bytes(broken_content(kind))
    (tmp_path / "\x1b[31mred.png").write_bytes(b"")
    picture(tmp_path / "good.png")
    code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path))
    assert code == 7
    named = [line for line in out.splitlines() if line.startswith("cannot be read")]
    assert len(named) == 5
    assert sum("empty file" in line for line in named) == 2
    assert "\x1b" not in out
    assert "5 pictures of 6 could not be read" in out
    code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path), "--json")
    found = {Path(line["path"]).name: line for line in lines(out)}
    assert code == 7
    assert found["text.png"]["error"] == "no PNG, JPEG, BMP, WebP, GIF or TIFF"
    assert found["text.png"]["predicted"] is None
    assert found["text.png"]["top"] == []
    assert "error" not in found["good.png"]
    code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path), "--csv", "--top", "2")
    rows = {Path(row["path"]).name: row for row in csv.DictReader(io.StringIO(out))}
    assert code == 7
    assert rows["empty.png"]["error"] == "empty file"
    assert rows["good.png"]["error"] == ""
    assert float(rows["good.png"]["probability"]) >= float(rows["good.png"]["probability_2"]) > 0


def test_what_is_written_into_a_file(
    runs: list[Path], folder: Path, tmp_path: Path, bakeoff: Bakeoff
) -> None:
    for name, first in (("a.csv", "path,predicted"), ("a.jsonl", '{"path"'), ("a.txt", "predicted")):
        code, out, _ = bakeoff("predict", str(runs[0]), str(folder / "3"), "-o", str(tmp_path / name))
        assert code == 0
        assert (tmp_path / name).read_text().startswith(first)
        assert f"written: {tmp_path / name}" in out
    assert files_below(Path.cwd()) == []
    code, _, err = bakeoff("predict", str(runs[0]), str(folder), "-o", str(tmp_path / "no" / "a.csv"))
    assert code == 4
    assert err.startswith("error: ")


def test_folders_that_are_no_classes_are_predicted_and_not_scored(
    runs: list[Path], folder: Path, tmp_path: Path, bakeoff: Bakeoff
) -> None:
    for name in ("3", "test/7/3", "owls"):
        shutil.copytree(folder / "3", tmp_path / name)
    (tmp_path / "notes.heic").write_text("x")
    shutil.copy(next((folder / "5").iterdir()), tmp_path / "loose.png")
    count = len(list((folder / "3").iterdir()))
    code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path))
    assert code == 0
    assert f"owls/ is no class of the run: {count} pictures predicted, not scored" in out
    assert "1 picture outside of folders of classes, not scored" in out
    assert "skipped (no PNG, JPEG, BMP, WebP, GIF or TIFF): notes.heic" in out
    assert f"of {2 * count} pictures right" in out
    (first, *_) = lines(bakeoff("predict", str(runs[0]), str(tmp_path / "test"), "--json")[1])
    assert first["true"] == "7"
    code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path / "owls"))
    assert code == 0
    assert "right" not in out


class Stdin(io.StringIO):
    def __init__(self, content: bytes, is_terminal: bool = False) -> None:
        super().__init__()
        self.buffer = io.BytesIO(content)  # type: ignore[misc]
        self.isatty = lambda: is_terminal  # type: ignore[method-assign]


def test_a_picture_comes_from_standard_input(
    runs: list[Path], folder: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next((folder / "4").iterdir())
    monkeypatch.setattr(sys, "stdin", Stdin(path.read_bytes()))
    (line,) = lines(bakeoff("predict", str(runs[0]), "-", "--json")[1])
    (same,) = lines(bakeoff("predict", str(runs[0]), str(path), "--json")[1])
    assert line["path"] == "-"
    assert line["top"] == same["top"]
    monkeypatch.setattr(sys, "stdin", Stdin(b""))
    code, out, _ = bakeoff("predict", str(runs[0]), "-")
    assert code == 7
    assert "-: empty file" in out
    monkeypatch.setattr(sys, "stdin", Stdin(b"", is_terminal=True))
    assert bakeoff("predict", str(runs[0]), "-")[0] == 2


def test_pictures_are_drawn(runs: list[Path], folder: Path, tmp_path: Path, bakeoff: Bakeoff) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    good = sorted((folder / "3").iterdir())[:1]
    code, out, _ = bakeoff(
        "predict", str(runs[0]), *map(str, [*good, bad]), "--draw", str(tmp_path / "drawn")
    )
    assert code == 7
    assert f"drawn: {tmp_path / 'drawn'}" in out
    assert files_below(tmp_path / "drawn") == [f"00001-3-{good[0].stem}.png"]
    with Image.open(tmp_path / "drawn" / f"00001-3-{good[0].stem}.png") as image:
        assert image.size == (600, 384)


def test_evaluate_scores_runs_alone_and_together(runs: list[Path], bakeoff: Bakeoff) -> None:
    code, out, _ = bakeoff("predict", *map(str, runs), "--evaluate", "--json")
    assert code == 0
    first, second, both = lines(out)
    for line, run in ((first, runs[0]), (second, runs[1])):
        assert line["accuracy"] == pytest.approx(read(run, "summary.json")["test"]["accuracy"])
        assert line["nll"] == pytest.approx(read(run, "summary.json")["test"]["nll"], abs=1e-5)
        assert line["name"] == run.name
    mean, labels = (stored(runs[0]) + stored(runs[1])) / 2, test_images()[1]
    assert both["accuracy"] == pytest.approx((mean.argmax(1) == labels).mean())
    assert both["low"] < both["accuracy"] < both["high"]
    assert both["num_images"] == 400
    code, out, _ = bakeoff("predict", str(runs[0]), "--evaluate")
    assert code == 0
    assert out.startswith("400 test images of digits\nrun ")
    assert "together" not in out


def wrong(*words: str) -> Callable[[Sequence[Path], Path], list[str]]:
    """A line in which RUN, SECOND, FOLDER and PICTURE stand for those of the tests."""
    return lambda runs, folder: [
        {
            "RUN": str(runs[0]),
            "SECOND": str(runs[1]),
            "FOLDER": str(folder),
            "PICTURE": str(next((folder / "3").iterdir())),
        }.get(word, word)
        for word in words
    ]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (wrong("nothing", "FOLDER"), 2, "run nothing: "),
        (wrong("RUN"), 2, "no picture: give files, folders, or - for standard input"),
        (wrong("RUN", "RUN", "FOLDER"), 2, "a run stands twice"),
        (wrong("RUN", "FOLDER", "SECOND"), 3, "holds no picture"),
        (wrong("RUN", "typo.png"), 3, "typo.png: no such picture or folder, and no run"),
        (wrong("RUN", "FOLDER", "--evaluate"), 2, "is no run, leave it out"),
        (wrong("RUN", "--evaluate", "--csv"), 2, "--csv: "),
        (wrong("RUN", "PICTURE", "--data-root", "x"), 2, "--data-root: only --evaluate reads"),
        (wrong("RUN", "-", "-"), 2, "standard input holds one picture"),
        (wrong("RUN", "PICTURE", "--top", "0"), 2, "--top"),
        (wrong("RUN", "PICTURE", "--device", "gpu"), 2, "--device gpu: "),
        (wrong("RUN", "PICTURE", "--json", "--csv"), 2, "not allowed with"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_refused_in_one_line(
    line: Any, code: int, said: str, runs: list[Path], folder: Path, bakeoff: Bakeoff
) -> None:
    found, _, err = bakeoff("predict", *line(runs, folder))
    assert (found, err.count("\n"), err.startswith("error: ")) == (code, 1, True)
    assert said in err


def test_runs_by_their_names_and_a_folder_that_is_called_as_one(
    runs: list[Path], folder: Path, bakeoff: Bakeoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = runs[0].parents[1]
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(outputs))
    names = [run.name[:-1] for run in runs]
    code, _, err = bakeoff("predict", *names, str(folder / "3"), "--json")
    assert code == 0
    assert "2 runs" in err
    # What is there is a folder of pictures, whatever runs are called.
    shutil.copytree(folder / "3", Path(names[1]))
    code, _, err = bakeoff("predict", *names, "--json")
    assert code == 0
    assert "2 runs" not in err


def test_runs_of_other_classes_are_no_ensemble(runs: list[Path], tmp_path: Path, bakeoff: Bakeoff) -> None:
    other = shutil.copytree(runs[1], tmp_path / "other")
    summary = read(other, "summary.json")
    for place, each in enumerate(summary["test"]["per_class"]):
        each["label"] = f"number {place}"
    (other / "summary.json").write_text(json.dumps(summary))
    code, _, err = bakeoff("predict", str(runs[0]), str(other), str(tmp_path))
    assert code == 2
    assert "runs that answer together need the same classes" in err


@pytest.mark.parametrize("draws", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_hostile_names_are_only_printed(
    draws: bool, runs: list[Path], tmp_path: Path, bakeoff: Bakeoff
) -> None:
    names = ["a\nb.png", "\u202egnp.png", "$(touch x).png", "=1+1.png", "a\udcff.png"]
    for name in names:
        picture(tmp_path / name)
    code, out, err = bakeoff("predict", str(runs[0]), str(tmp_path))
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 2 + len(names) + 1
    assert "\u202e" not in out
    for option in ("--json", "--csv"):
        code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path), option)
        assert code == 0
    if draws:
        code, out, _ = bakeoff("predict", str(runs[0]), str(tmp_path), "--draw", str(tmp_path / "drawn"))
        assert code == 0
        assert len(files_below(tmp_path / "drawn")) == len(names)
    assert files_below(Path.cwd()) == []


def test_what_is_written_over_is_asked_first(
    runs: list[Path], folder: Path, bakeoff: Bakeoff, tmp_path: Path
) -> None:
    picture = sorted((folder / "3").iterdir())[0]
    before = {path: path.read_bytes() for path in (picture, runs[0] / "summary.json")}
    for place, says in ((runs[0] / "summary.json", "a file of the run"), (picture, "answers are text")):
        code, _, err = bakeoff("predict", str(runs[0]), str(picture), "-o", str(place))
        assert (code, says in err) == (2, True)
    code, _, err = bakeoff("compare", str(runs[0]), "-o", str(runs[0] / "summary.json"))
    assert (code, "a file of the run" in err) == (2, True)
    code, _, err = bakeoff(
        "export", str(runs[0]), "--format", "state_dict", "-o", str(runs[0] / "weights.safetensors")
    )
    assert (code, "a file of the run" in err) == (2, True)
    assert all(path.read_bytes() == content for path, content in before.items())
    for option in ("-o", "--draw"):
        code, _, err = bakeoff("predict", str(runs[0]), str(picture), option, "")
        assert (code, f"{option}: its name is empty" in err) == (2, True)


def test_devices_and_links_are_written_into(
    runs: list[Path], folder: Path, bakeoff: Bakeoff, tmp_path: Path
) -> None:
    picture = str(sorted((folder / "3").iterdir())[0])
    (tmp_path / "link.csv").symlink_to(tmp_path / "answers.csv")
    assert bakeoff("predict", str(runs[0]), picture, "-o", str(tmp_path / "link.csv"))[0] == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "answers.csv").read_text().startswith("path,predicted,")
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    assert bakeoff("predict", str(runs[0]), picture, "--csv", "-o", str(tmp_path / "pipe"))[0] == 0
    reader.join(10)
    assert (tmp_path / "pipe").is_fifo()
    assert read == [(tmp_path / "answers.csv").read_text()]


def test_a_json_file_is_one_list(runs: list[Path], folder: Path, bakeoff: Bakeoff, tmp_path: Path) -> None:
    assert bakeoff("predict", str(runs[0]), str(folder / "3"), "-o", str(tmp_path / "a.json"))[0] == 0
    answers = json.loads((tmp_path / "a.json").read_text())
    assert [one["path"] for one in answers] == [str(path) for path in sorted((folder / "3").iterdir())]


def test_a_picture_of_one_pixel_is_drawn(runs: list[Path], bakeoff: Bakeoff, tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "one.png")
    code, _, err = bakeoff(
        "predict", str(runs[0]), str(tmp_path / "one.png"), "--draw", str(tmp_path / "drawn")
    )
    assert (code, err) == (0, "")
    assert len(files_below(tmp_path / "drawn")) == 1
