"""The options of `compare` that choose rows, columns, order and what is tested."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import refusal
from conftest import Bakeoff
from run_directories import make_run

# Setting: model, error rate, changes; three seeds each.
SETTINGS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "aa1": ("cnn", 0.1, {"optim.lr": 0.1, "optim.name": "adamw"}),
    "ab2": ("cnn", 0.2, {"optim.lr": 0.5, "optim.name": "sgd"}),
    "bb3": ("vit", 0.5, {"optim.lr": 0.1, "optim.name": "sgd"}),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for setting, (model, error_rate, changes) in SETTINGS.items():
        for seed in range(3):
            path = tmp_path / "r" / f"{setting}-{seed}"
            make_run(path, seed, setting, model=model, error_rate=error_rate, changes=changes, count=300)
    return tmp_path / "r"


def table_of(bakeoff: Bakeoff, root: Path, *options: str) -> dict[str, Any]:
    code, out, error = bakeoff("compare", str(root), "--format", "json", *options)
    assert code == 0, error
    (table,) = json.loads(out)["tables"]
    return dict(table)


def settings_of(bakeoff: Bakeoff, root: Path, *options: str) -> list[str]:
    return [row["setting"] for row in table_of(bakeoff, root, *options)["settings"]]


def titles_of(bakeoff: Bakeoff, root: Path, *options: str) -> list[str]:
    out = bakeoff("compare", str(root), "--format", "markdown", *options)[1]
    line = next(line for line in out.splitlines() if "| configuration |" in line)
    return [title.strip() for title in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("optim.lr < 0.3", ["aa1", "bb3"]),
        ('model == "cnn"', ["aa1", "ab2"]),
        ('setting in ["bb3"]', ["bb3"]),
        ("accuracy > 0.7", ["aa1", "ab2"]),
        ('weights == "none" and not optim.name == "sgd"', ["aa1"]),
    ],
)
def test_where(bakeoff: Bakeoff, root: Path, where: str, expected: list[str]) -> None:
    assert settings_of(bakeoff, root, "--where", where) == expected


def test_where_may_leave_a_setting_some_of_its_runs(bakeoff: Bakeoff, root: Path) -> None:
    whole = table_of(bakeoff, root)["settings"][0]
    row = table_of(bakeoff, root, "--where", "seed != 1")["settings"][0]
    assert (row["seeds"], row["num_runs"]) == ([0, 2], 2)
    assert row["metrics"]["accuracy"]["mean"] != whole["metrics"]["accuracy"]["mean"]


def test_a_metric_is_the_settings_mean_so_no_run_is_picked(bakeoff: Bakeoff, root: Path) -> None:
    row = table_of(bakeoff, root)["settings"][0]
    mean = row["metrics"]["accuracy"]["mean"]
    assert row["metrics"]["accuracy"]["std"] > 0  # some runs lie above the mean, some below
    assert table_of(bakeoff, root, "--where", f"accuracy >= {mean!r}")["settings"][0]["num_runs"] == 3
    assert "aa1" not in settings_of(bakeoff, root, "--where", f"accuracy < {mean!r}")


def test_where_that_leaves_nothing(bakeoff: Bakeoff, root: Path) -> None:
    assert "no run is left" in refusal(bakeoff, root, "--where", "optim.lr > 9")


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("accuracy", ["aa1", "ab2", "bb3"]),
        ("accuracy:asc", ["bb3", "ab2", "aa1"]),
        ("nll", ["aa1", "ab2", "bb3"]),
        ("nll:desc", ["bb3", "ab2", "aa1"]),
        ("optim.lr:desc", ["ab2", "aa1", "bb3"]),
        ("optim.name", ["aa1", "bb3", "ab2"]),
        ("model:desc", ["bb3", "aa1", "ab2"]),
    ],
)
def test_sort(bakeoff: Bakeoff, root: Path, sort: str, expected: list[str]) -> None:
    found = settings_of(bakeoff, root, "--sort", sort)
    if sort == "optim.name":  # among equals by name
        expected = ["aa1", *sorted(expected[1:])]
    assert found == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sort", "acuracy"], "--sort acuracy: no such column; did you mean accuracy?"),
        (["--sort", "nll:up"], "after the colon asc or desc"),
        (["--sort", "train_seconds"], "times are not ranked: the machine of some runs is not recorded"),
        (["--columns", "acuracy"], "--columns acuracy: no such column; did you mean accuracy?"),
        (["--group-by", "optim.lrr"], "--group-by optim.lrr: no such key; did you mean optim.lr?"),
        (["--top", "0"], "0 is no whole number above 0"),
        (["--baseline", "resnet"], "--baseline resnet: no such configuration"),
        (["--baseline", "cnn"], "--baseline cnn: 2 configurations are meant"),
        (["--baseline", "a"], "--baseline a: 2 configurations are meant"),
        (["--cost", "money"], "invalid choice: 'money'"),
    ],
)
def test_what_is_refused(bakeoff: Bakeoff, root: Path, options: list[str], message: str) -> None:
    assert message in refusal(bakeoff, root, *options)


def test_what_was_not_measured_comes_last(bakeoff: Bakeoff, root: Path) -> None:
    for seed in range(3):
        path = root / f"aa1-{seed}" / "summary.json"
        summary = json.loads(path.read_text())
        summary["cost"]["parameters"] = None
        path.write_text(json.dumps(summary))
    for sort in ("parameters", "parameters:desc"):
        assert settings_of(bakeoff, root, "--sort", sort)[-1] == "aa1"


def test_top_after_sorting(bakeoff: Bakeoff, root: Path) -> None:
    assert settings_of(bakeoff, root, "--sort", "nll:desc", "--top", "2") == ["bb3", "ab2"]
    assert len(table_of(bakeoff, root, "--top", "2")["pairs"]) == 3  # one pair, three metrics


def test_group_by_makes_blocks(bakeoff: Bakeoff, root: Path) -> None:
    assert settings_of(bakeoff, root, "--group-by", "optim.lr") == ["aa1", "bb3", "ab2"]
    assert settings_of(bakeoff, root, "--group-by", "optim.name,optim.lr") == ["aa1", "bb3", "ab2"]
    assert titles_of(bakeoff, root, "--group-by", "optim.lr")[:3] == ["#", "configuration", "optim.lr"]
    latex = bakeoff("compare", str(root), "--group-by", "optim.lr", "--format", "latex")[1]
    assert latex.count(r"\midrule") == 2


def test_columns_in_the_order_asked_for(bakeoff: Bakeoff, root: Path) -> None:
    names = "optim.lr,nll,n,seeds,accuracy,peak_memory_bytes,group"
    titles = ["optim.lr", "nll (test loss)", "n", "seeds", "accuracy %", "memory (MB)", "group"]
    assert titles_of(bakeoff, root, "--columns", names) == ["#", "configuration", *titles]
    assert titles_of(bakeoff, root, "--columns", " nll , n ") == [
        "#",
        "configuration",
        "nll (test loss)",
        "n",
    ]


def test_only_changed_leaves_out_what_is_alike(bakeoff: Bakeoff, root: Path) -> None:
    assert {"n", "parameters"} <= set(titles_of(bakeoff, root))
    titles = titles_of(bakeoff, root, "--only-changed")
    assert not {"n", "parameters", "train_seconds"} & set(titles)
    assert {"configuration", "accuracy %", "optim.lr"} <= set(titles)
    out = bakeoff("compare", str(root), "--only-changed")[1]
    assert "\nthe same in every row: n 3, train_seconds 3.0, parameters 1,234\n" in out
    assert "mean over 3 seeds" in out  # there is no n that the caption could speak of


@pytest.mark.parametrize("baseline", ["vit", "bb", "bb3"])
def test_a_baseline_by_model_or_prefix(bakeoff: Bakeoff, root: Path, baseline: str) -> None:
    table = table_of(bakeoff, root, "--baseline", baseline)
    assert {(pair["a"], pair["b"]) for pair in table["pairs"]} == {("aa1", "bb3"), ("ab2", "bb3")}
    assert len(table["pairs"]) == 6
    assert all(" vit by " in sentence for sentence in table["verdict"])
    assert {row["tie_group"] for row in table["settings"]} == {None}


def test_a_baseline_by_its_name_in_the_table(bakeoff: Bakeoff, root: Path) -> None:
    name = "cnn optim.lr=0.5 optim.name=sgd"
    table = table_of(bakeoff, root, "--baseline", name)
    assert {pair["b"] for pair in table["pairs"]} == {"ab2"}
    # Holm over two pairs: the smaller p counts twice.
    p_values = sorted(pair["p"] for pair in table["pairs"] if pair["metric"] == "accuracy")
    adjusted = sorted(pair["p_adjusted"] for pair in table["pairs"] if pair["metric"] == "accuracy")
    assert adjusted[0] == pytest.approx(min(1, 2 * p_values[0]))


def test_a_baseline_beyond_the_top_is_shown_all_the_same(bakeoff: Bakeoff, root: Path) -> None:
    assert settings_of(bakeoff, root, "--top", "1", "--baseline", "vit") == ["aa1", "bb3"]


def test_more_than_twenty_settings_need_a_baseline(bakeoff: Bakeoff, tmp_path: Path) -> None:
    for number in range(21):
        make_run(
            tmp_path / "r" / str(number), 0, f"s{number:02}", model=f"net{number}", error_rate=number / 50
        )
    table = table_of(bakeoff, tmp_path / "r")
    assert table["pairs"] == []
    (sentence,) = table["verdict"]
    assert "21 configurations: no pair is tested, since 210 pairs" in sentence
    assert "--baseline NAME" in sentence
    assert table["settings"][0]["metrics"]["accuracy"]["low"] is not None
    assert len(table_of(bakeoff, tmp_path / "r", "--baseline", "net0")["pairs"]) == 3 * 20
    assert len(table_of(bakeoff, tmp_path / "r", "--top", "20")["pairs"]) == 3 * 190


def test_without_statistics_predictions_are_left_alone(bakeoff: Bakeoff, root: Path) -> None:
    for seed in range(3):
        (root / f"aa1-{seed}" / "predictions.npz").write_bytes(b"PK damaged")
    assert bakeoff("compare", str(root))[0] == 7
    table = table_of(bakeoff, root, "--no-statistics")
    assert not {"pairs", "verdict"} & set(table)
    for row in table["settings"]:
        assert "tie_group" not in row
        assert all(set(estimate) == {"mean", "std"} for estimate in row["metrics"].values() if estimate)


def test_every_format_says_what_is_real(bakeoff: Bakeoff, root: Path) -> None:
    sentences = table_of(bakeoff, root)["verdict"]
    assert len(sentences) == 2
    for kind in ("table", "markdown"):
        out = bakeoff("compare", str(root), "--format", kind)[1].replace("\\", "")
        assert all(sentence in out for sentence in sentences), kind
    assert all(
        sentence.replace("%", r"\%") in bakeoff("compare", str(root), "--format", "latex")[1]
        for sentence in sentences
    )
    rows = list(csv.DictReader(io.StringIO(bakeoff("compare", str(root), "--format", "csv")[1])))
    assert [row["tie_group"] for row in rows] == ["a", "b", "c"]


def test_latex_is_escaped(bakeoff: Bakeoff, tmp_path: Path) -> None:
    make_run(tmp_path / "r" / "1", 0, "a", model="a_b%c&d#e$f{g}h~i^j\\k")
    out = bakeoff("compare", str(tmp_path / "r"), "--format", "latex", "--columns", "n")[1]
    name = r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
    assert f"\n{name} & 1 \\\\\n" in out
    assert "\\begin{tabular}{lr}\n\\toprule\nconfiguration & n \\\\\n\\midrule\n" in out
