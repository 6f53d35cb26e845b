"""One name for one thing in every option; what a name could have been where it is none; options of the CSV."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from compared_runs import refusal
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.comparison.figures import COST_NAMES, RUN_FIGURES, SHORT_NAMES
from bakeoff.runs.storage import write_json

MADE = {
    "cnn": ("2026-01-31T12:00:00+00:00", "desk", 0.1, 3.0), "vit": ("2026-02-02T12:00:00+00:00", "rack", 0.3, 1.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("names")
    for model, (started, host, error_rate, latency) in MADE.items():
        make_run(root / model, 0, model, model=model, error_rate=error_rate, count=300)
        write_json(
            root / model / "environment.json", {"started": started, "host": host, "device_name": "chip"}
        )
        summary = json.loads((root / model / "summary.json").read_text())
        summary["speed"]["latency_ms_batch1"] = latency
        summary["cost"] |= {
            "forward_flops_per_image": int(2e6 * latency),
            "peak_memory_bytes": int(5e6 * latency),
        }
        write_json(root / model / "summary.json", summary)
    return root


def models(bakeoff: Bakeoff, root: Path, *options: str) -> list[str]:
    code, out, error = bakeoff("compare", str(root), "--format", "json", *options)
    assert code == 0, error
    return [row["model"] for row in json.loads(out)["tables"][0]["settings"]]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ('date < "2026-02-01 06"', ["cnn"]),
        ('date >= "2026-02-02"', ["vit"]),
        ('host == "rack"', ["vit"]),
        ('name in ["vit", "x"]', ["vit"]),
        ('status == "finished"', ["cnn", "vit"]),
        ("latency < 2", ["vit"]),
        ("latency_ms_batch1 < 2", ["vit"]),
        ("flops > 4e6 and memory > 6e6", ["cnn"]),
        ("accuracy > 0.8 and 1 > accuracy", ["cnn"]),
    ],
)
def test_where_knows(bakeoff: Bakeoff, root: Path, where: str, expected: list[str]) -> None:
    assert models(bakeoff, root, "--where", where) == expected


@pytest.mark.parametrize(
    ("sort", "first"),
    [("date", "cnn"), ("date:desc", "vit"), ("host:desc", "vit"), ("name:desc", "vit"), ("memory", "vit"),
     ("flops", "vit"), ("peak_memory_bytes:desc", "cnn"), ("status", "cnn")],
)  # fmt: skip
def test_sort_knows(bakeoff: Bakeoff, root: Path, sort: str, first: str) -> None:
    assert models(bakeoff, root, "--sort", sort)[0] == first


def test_a_share_is_not_in_percent(bakeoff: Bakeoff, root: Path) -> None:
    error = refusal(bakeoff, root, "--where", 'model == "cnn" and 90 < accuracy')
    assert "character 20: accuracy is a number from 0 to 1: write 0.9 for 90 %" in error
    assert models(bakeoff, root, "--where", "accuracy <= 1") == ["cnn", "vit"]
    assert models(bakeoff, root, "--where", "nll < 90") == ["cnn", "vit"]


def test_what_is_sorted_by_is_shown(bakeoff: Bakeoff, root: Path) -> None:
    out = bakeoff("compare", str(root), "--sort", "memory")[1]
    assert "memory (MB)" in out
    assert "host" in bakeoff("compare", str(root), "--sort", "host")[1]
    assert "memory" not in bakeoff("compare", str(root), "--sort", "memory", "--columns", "n")[1]


@pytest.mark.parametrize("figure", RUN_FIGURES.values(), ids=SHORT_NAMES)
def test_a_figure_has_one_name_for_people(bakeoff: Bakeoff, root: Path, figure: Any) -> None:
    """The title begins with the name that the options take; the JSON has the long one."""
    assert figure.title.partition(" ")[0] == figure.short
    for name in (figure.short, figure.name):
        out = bakeoff("compare", str(root), "--columns", name)[1]
        assert f"  {figure.title}\n" in out or f"  {figure.title}  " in out
    out = bakeoff("compare", str(root), "--format", "json")[1]
    assert figure.name in json.loads(out)["tables"][0]["settings"][0]["metrics"]


@pytest.mark.parametrize("cost", COST_NAMES)
def test_a_cost_is_called_by_its_short_name(bakeoff: Bakeoff, root: Path, cost: str) -> None:
    out = bakeoff("compare", str(root), "--cost", cost)[1]
    assert f"rade-off of accuracy against {cost}" in out
    assert COST_NAMES[cost] == cost or COST_NAMES[cost] not in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--columns", "xyz"], ["metrics: accuracy, macro_f1,", "latency", "facts of a run: weights, n, group,", "host", "bakeoff train --help"]),
        (["--sort", "xyz"], ["metrics: accuracy", "date", "keys that differ: ", "other keys: bakeoff train --help"]),
        (["--group-by", "xyz"], ["facts of a run: name, model", "bakeoff train --help"]),
        (["--columns", "latncy"], ["did you mean latency?"]),
        (["--columns", "grup"], ["did you mean group?"]),
        (["--columns", "front"], ["give --cost NAME too"]),
        (["--sort", "memry"], ["did you mean memory?"]),
        (["--where", "memry > 1"], ["did you mean memory?"]),
        (["--where", 'status == "failed"'], ["no run is left of 2; only finished runs have a row"]),
    ],
)  # fmt: skip
def test_a_hint_says_what_there_is(bakeoff: Bakeoff, root: Path, options: list[str], told: list[str]) -> None:
    error = refusal(bakeoff, root, *options)
    assert all(part in error for part in told), error
    assert len(error) < 600
    assert ("metrics:" in error) == (options[0] != "--group-by" and "xyz" in options)


def test_a_baseline_by_its_number(bakeoff: Bakeoff, root: Path) -> None:
    out = bakeoff("compare", str(root), "--format", "json", "--baseline", "2")[1]
    assert {pair["b"] for pair in json.loads(out)["tables"][0]["pairs"]} == {"vit"}
    out = bakeoff("compare", str(root), "--format", "json", "--baseline", "2", "--sort", "memory")[1]
    assert {pair["b"] for pair in json.loads(out)["tables"][0]["pairs"]} == {"cnn"}
    assert "no such configuration; give a row's number" in refusal(bakeoff, root, "--baseline", "3")


def csv_of(bakeoff: Bakeoff, root: Path, *options: str) -> str:
    code, out, error = bakeoff("compare", str(root), "--format", "csv", *options)
    assert code == 0, error
    return out


@pytest.mark.parametrize(
    ("given", "sign"),
    [(";", ";"), ("tab", "\t"), (r"\t", "\t"), ("\t", "\t"), ("|", "|"), ("semicolon", ";")],
)
def test_a_csv_for_another_delimiter(bakeoff: Bakeoff, root: Path, given: str, sign: str) -> None:
    plain = list(csv.reader(io.StringIO(csv_of(bakeoff, root))))
    out = csv_of(bakeoff, root, "--delimiter", given)
    assert list(csv.reader(io.StringIO(out), delimiter=sign)) == plain


def test_a_csv_for_excel(bakeoff: Bakeoff, root: Path, tmp_path: Path) -> None:
    options = ("--bom", "--delimiter", ";", "--decimal", ",")
    plain = list(csv.DictReader(io.StringIO(csv_of(bakeoff, root))))
    csv_of(bakeoff, root, *options, "-o", str(tmp_path / "f.csv"))
    content = (tmp_path / "f.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfdata;title;test_fingerprint;")
    assert content.count(b"\xef\xbb\xbf") == 1
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    for row, expected in zip(rows, plain, strict=True):
        assert row["model"] == expected["model"]
        assert row["accuracy_mean"] == expected["accuracy_mean"].replace(".", ",")
        assert "," in row["accuracy_mean"]
    assert not csv_of(bakeoff, root).startswith("\ufeff")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--bom"], "--bom: only with --format csv"),
        (["--delimiter", ";"], "--delimiter: only with --format csv"),
        (["--format", "csv", "--decimal", ","], "needs another delimiter"),
        (["--format", "csv", "--delimiter", "ab"], "'ab' parts no cells"),
        (["--format", "csv", "--delimiter", "."], "'.' parts no cells"),
        (["--format", "csv", "--delimiter", ""], "'' parts no cells"),
        (["--format", "csv", "--decimal", "x"], "invalid choice: 'x'"),
        (["--color", "pink"], "invalid choice: 'pink'"),
        (["--spread", "sem"], "invalid choice: 'sem'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    bakeoff: Bakeoff, root: Path, options: list[str], told: str
) -> None:
    assert told in refusal(bakeoff, root, *options)
