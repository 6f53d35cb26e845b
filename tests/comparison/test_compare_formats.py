"""`bakeoff compare` in each format: what is shown, rounded and escaped, and where it is written."""

import csv
import io
import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from compared_runs import as_json, edit_summary, make_tree
from conftest import Bakeoff
from run_directories import accuracy_of, make_run

from bakeoff.runs.records import Summary
from bakeoff.runs.rundir import RunDir


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, list[Summary]]:
    return make_tree(tmp_path / "runs")


def test_the_terminal_table_shows_percent_spread_and_n(
    bakeoff: Bakeoff, tmp_path: Path, tree: dict[str, list[Summary]]
) -> None:
    code, out, _ = bakeoff("compare", str(tmp_path / "runs"))
    assert code == 0
    scores = [100 * accuracy_of(summary) for summary in tree["a"]]
    row = next(line for line in out.splitlines() if "0.001" in line)
    accuracy = as_json(bakeoff, str(tmp_path / "runs"))["tables"][0]["settings"][0]["metrics"]["accuracy"]
    interval = f"[{100 * accuracy['low']:.2f}, {100 * accuracy['high']:.2f}]"
    assert f"{statistics.fmean(scores):.2f} {interval}" in row
    assert row.split()[:4] == ["1", "cnn", "3", "a"]
    assert "toy (test images t0): 60 test images, 5 classes, trained from scratch\n" in out
    assert "\ntest scores, mean over n seeds [95 % interval: luck of seeds and of test images]; ±:" in out
    assert "optim.lr" in out
    for option in (["--no-statistics"], ["--spread", "std"]):
        out = bakeoff("compare", str(tmp_path / "runs"), *option)[1]
        assert f"{statistics.fmean(scores):.2f} ± {statistics.stdev(scores):.2f}" in out
        assert "\ntest scores, mean over n seeds; ±: standard deviation over the seeds" in out
        assert "[95 % interval" not in out


@pytest.mark.parametrize("columns", ["1", "40", "80"])
def test_a_piped_table_is_never_cut(bakeoff: Bakeoff, tmp_path: Path, monkeypatch: Any, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for number in range(2):
        make_run(tmp_path / "r" / str(number), 0, str(number), model=f"{'long' * 40}{number}")
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert f"{'long' * 40}1" in out


def test_many_changed_keys_are_told_below_the_table(bakeoff: Bakeoff, tmp_path: Path) -> None:
    changes = {
        "optim.lr": 0.3,
        "optim.momentum": 0.1,
        "optim.name": "sgd",
        "trainer.epochs": 9,
        "data.root": "z",
    }
    make_run(tmp_path / "r" / "1", 0, "a")
    make_run(tmp_path / "r" / "2", 0, "b", changes=changes | {"trainer.batch_size": 7})
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    assert "what else tells the rows apart\n" in out
    assert "  cnn optim.lr=0.3 optim.momentum=0.1 optim.name=sgd trainer.batch_size=7 trainer.epochs=9" in out
    assert "data.root" not in out


def test_a_key_that_is_younger_than_a_run_is_no_part_of_a_recipe(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "1", 0, "a", model="cnn")
    make_run(tmp_path / "2", 0, "b", model="vit", changes={"optim.lr": 0.3, "data.younger_key": 100.0})
    out = bakeoff("compare", str(tmp_path))[1]
    assert "(its recipe); they differ in optim.lr; to see them" in out
    assert "younger_key" not in out


def test_keys_are_shown_only_where_they_tell_settings_of_one_model_apart(
    bakeoff: Bakeoff, tmp_path: Path
) -> None:
    """What follows from a model's recipe is named in a note, its own keys are not."""
    note = "note: each model has its own training settings (its recipe); they differ in optim.lr; to see them: --columns accuracy,optim.lr\n"

    def keys_of_table(root: Path) -> list[str]:
        titles = bakeoff("compare", str(root), "--format", "markdown")[1].splitlines()[2]
        return [title.strip() for title in titles.strip("|").split("|")][9:]

    make_run(tmp_path / "r" / "1", 0, "a", model="cnn", changes={"model.width": 3})
    make_run(tmp_path / "r" / "2", 0, "b", model="vit", changes={"model.heads": 2, "optim.lr": 0.3})
    assert keys_of_table(tmp_path / "r") == []
    assert note in bakeoff("compare", str(tmp_path / "r"))[1]
    assert note in bakeoff("compare", str(tmp_path / "r"), "--no-statistics")[1]
    make_run(tmp_path / "r" / "3", 0, "c", model="vit", changes={"model.heads": 4, "optim.lr": 0.3})
    assert keys_of_table(tmp_path / "r") == ["model.heads"]
    make_run(tmp_path / "r" / "4", 0, "d", model="vit", changes={"model.heads": 4, "optim.lr": 0.1})
    assert keys_of_table(tmp_path / "r") == ["model.heads", "optim.lr"]
    assert "(its recipe)" not in bakeoff("compare", str(tmp_path / "r"))[1]


def test_the_network_is_shown_where_the_models_name_does_not_say_it(bakeoff: Bakeoff, tmp_path: Path) -> None:
    def titles(root: Path) -> str:
        return bakeoff("compare", str(root), "--format", "markdown")[1].splitlines()[2]

    changes = {"model.arch": "shufflenet_v2_x0_5"}
    make_run(tmp_path / "r" / "1", 0, "a", model="shufflenet_small", changes=changes)
    make_run(tmp_path / "r" / "2", 0, "b", model="cnn")
    assert "model.arch" not in titles(tmp_path / "r")
    make_run(tmp_path / "r" / "3", 0, "c", model="finetune", changes={"model.arch": "resnet18"})
    assert "model.arch" in titles(tmp_path / "r")


def test_weights_are_shown_by_what_they_are(bakeoff: Bakeoff, tmp_path: Path) -> None:
    """A column of their own; no path of the machine that trained, neither there nor in a name."""
    for number, weights in enumerate(["none", "imagenet", "run:1a2b3c4d"]):
        path = tmp_path / "r" / str(number)
        make_run(path, 0, str(number), model="alexnet", changes={"model.weights": f"/home/me/{number}"})
        summary = json.loads((path / "summary.json").read_text()) | {"weights": weights}
        (path / "summary.json").write_text(json.dumps(summary))
    out = bakeoff("compare", str(tmp_path / "r"))[1]
    found = re.findall(r"^\d  alexnet +(from scratch|imagenet|run:1a2b3c4d)  1", out, re.MULTILINE)
    assert sorted(found) == ["from scratch", "imagenet", "run:1a2b3c4d"]
    settings = as_json(bakeoff, str(tmp_path / "r"))["tables"][0]["settings"]
    assert {row["name"] for row in settings} == {
        "alexnet model.weights=none", "alexnet model.weights=imagenet", "alexnet model.weights=run:1a2b3c4d"
    }  # fmt: skip
    for kind in ("table", "markdown", "csv", "json"):
        assert "/home/me" not in bakeoff("compare", str(tmp_path / "r"), "--format", kind)[1]


def test_csv_keeps_numbers_and_defuses_formulas(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number, model in enumerate(["=1+1", "+x", "-0.5", "@sum", "plain"]):
        make_run(
            tmp_path / "r" / str(number), number, str(number), model=model, changes={"optim.lr": 0.1 + number}
        )
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["model"] for row in rows} == {"'=1+1", "'+x", "'-0.5", "'@sum", "plain"}
    assert {float(row["optim.lr"]) for row in rows} == {0.1, 1.1, 2.1, 3.1, 4.1}
    assert all(0 <= float(row["accuracy_mean"]) <= 1 and row["accuracy_std"] == "" for row in rows)


def test_markdown_escapes_what_would_break_a_table(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="a|b<i>`c`")
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "markdown")[1]
    assert "| a\\|b\\<i>\\`c\\` | 1 |" in out


@pytest.mark.parametrize("name", ["[red]x[/red]", "[x]", "[/]", "a\\[b"])
def test_rich_markup_in_names_is_shown_as_it_is(bakeoff: Bakeoff, tmp_path: Path, name: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model=name)
    assert f"\n{name}  " in bakeoff("compare", str(tmp_path / "r"))[1]


def test_a_file_is_written_also_when_runs_failed(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    RunDir.create(tmp_path / "r" / "2").write_status("failed", 3, "no more disk")
    code, out, _ = bakeoff(
        "compare", str(tmp_path / "r"), "--format", "json", "-o", str(tmp_path / "out.json")
    )
    assert (code, out) == (7, "")
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["problems"] == [{"path": "2", "reason": "failed: no more disk"}]
    assert len(result["tables"]) == 1


def test_csv_holds_the_json_unrounded(
    bakeoff: Bakeoff, tmp_path: Path, tree: dict[str, list[Summary]]
) -> None:
    tables = as_json(bakeoff, str(tmp_path / "runs"))["tables"]
    out = bakeoff("compare", str(tmp_path / "runs"), "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    expected = [(table, row) for table in tables for row in table["settings"]]
    assert len(rows) == len(expected) == 3
    for found, (table, row) in zip(rows, expected, strict=True):
        assert (found["data"], found["test_fingerprint"]) == (table["data"], table["test_fingerprint"])
        assert (int(found["num_test_images"]), int(found["num_runs"])) == (
            table["num_images"],
            row["num_runs"],
        )
        assert (found["setting"], found["name"], found["model"]) == (
            row["setting"],
            row["name"],
            row["model"],
        )
        assert found["seeds"].split() == [str(seed) for seed in row["seeds"]]
        for metric, estimate in row["metrics"].items():
            for part in ("mean", "std", "low", "high"):
                cell = found[f"{metric}_{part}"]
                assert (float(cell) if cell else None) == (estimate and estimate[part])


@pytest.mark.parametrize("value", [-0.5, -1, -1e-5, 0.5, 1e300])
def test_a_number_of_a_csv_is_unchanged(bakeoff: Bakeoff, tmp_path: Path, value: float) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", changes={"optim.momentum": value})
    make_run(tmp_path / "r" / "2", 0, "b", changes={"optim.momentum": 0.25})
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "csv")[1]
    cells = {row["setting"]: row["optim.momentum"] for row in csv.DictReader(io.StringIO(out))}
    assert (float(cells["a"]), float(cells["b"])) == (value, 0.25)


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("-0.5", "'-0.5"), ("@sum", "'@sum"), ("\t=1", "'\\x09=1"),
     ("\r=1", "'\\x0d=1"), ("\n=1", "'\\x0a=1"), ('a"b,c', 'a"b,c'), ("a;b", "a;b"), ("a=b", "a=b")],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula(bakeoff: Bakeoff, tmp_path: Path, text: str, cell: str) -> None:
    make_run(tmp_path / "r" / "1", 0, text, model=text, changes={"optim.name": text, "data.name": text})
    make_run(tmp_path / "r" / "2", 0, "b", changes={"optim.name": "sgd"}, model="cnn")
    edit_summary(tmp_path / "r" / "1", data=text, weights=text)
    edit_summary(tmp_path / "r" / "2", data=text)
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "csv")[1]
    rows = list(csv.reader(io.StringIO(out)))
    assert len(rows) == 3
    assert {len(row) for row in rows} == {len(rows[0])}
    everything = [found for row in rows for found in row]
    assert not [found for found in everything if found.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    row = dict(zip(rows[0], rows[1], strict=True))
    if row["model"] == "cnn":
        row = dict(zip(rows[0], rows[2], strict=True))
    assert {row[key] for key in ("data", "setting", "model", "weights", "optim.name", "data.name")} == {cell}


def test_every_row_of_markdown_has_the_same_cells(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for place, model in enumerate(["a|b", "||", "\\|", "`|`", "[x](y)", "<b>", "a\nb", "*x*"]):
        make_run(tmp_path / "r" / str(place), place, str(place), model=model, changes={"optim.name": model})
    RunDir.create(tmp_path / "r" / "x|y").write_status("failed", 1, "a|b <script>\n# head")
    code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", "markdown")
    assert code == 7
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 8
    # A bar is a border unless an odd number of backslashes stands before it.
    borders = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines]
    assert set(borders) == {borders[0]}
    assert "<b>" not in out.replace("\\<b>", "")
    assert "<script>" not in out.replace("\\<script>", "")
    assert [line for line in out.splitlines() if line.startswith("# ")] == []


@pytest.mark.parametrize("kind", ["table", "markdown", "csv", "json"])
def test_a_file_holds_what_would_be_printed(bakeoff: Bakeoff, tmp_path: Path, kind: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="é日本")
    RunDir.create(tmp_path / "r" / "2").write_status("diverged", 3, "loss")
    code, out, _ = bakeoff("compare", str(tmp_path / "r"), "--format", kind)
    assert code == 7
    assert bakeoff("compare", str(tmp_path / "r"), "--format", kind, "-o", str(tmp_path / "f"))[:2] == (7, "")
    assert (tmp_path / "f").read_bytes() == out.encode()
    assert ("diverged: loss" in out) == (kind != "csv")  # a CSV has its problems on stderr


@pytest.mark.parametrize("place", ["missing/f", "folder"])
def test_a_file_that_cannot_be_written_is_exit_4(bakeoff: Bakeoff, tmp_path: Path, place: str) -> None:
    make_run(tmp_path / "r" / "1", 0, "a")
    (tmp_path / "folder").mkdir()
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "-o", str(tmp_path / place))
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert str(tmp_path / place) in err


def test_without_a_run_directory_nothing_is_written(bakeoff: Bakeoff, tmp_path: Path) -> None:
    (tmp_path / "r" / "x").mkdir(parents=True)
    (tmp_path / "r" / "x" / "epochs.jsonl").write_text("{}\n")
    code, out, err = bakeoff("compare", str(tmp_path / "r"), "-o", str(tmp_path / "f"))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'r'}: no run directory here")
    assert not (tmp_path / "f").exists()
