"""`bakeoff diff`: config, environment, code, metrics, and the images that only one of them has right."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Bakeoff
from run_directories import make_run

from bakeoff.commands.diff import _difference
from bakeoff.comparison.figures import RUN_FIGURES
from bakeoff.evaluation import metrics
from bakeoff.runs.storage import write_json

LABELS = np.array([0, 1, 2, 3, 4, 0, 1, 2])


def run_that_says(path: Path, guesses: list[int], seed: int = 0, **options: Any) -> Path:
    """A run of 8 images whose guesses are given, -1 for no answer; stored in reversed order."""
    make_run(path, seed, "a", count=8, **options)
    rows = np.full((8, 5), 0.05, dtype=np.float32)
    rows[np.arange(8), guesses] = 0.8
    rows[np.array(guesses) == -1] = 0
    order = np.arange(8)[::-1]
    np.savez(path / "predictions.npz", index=order, label=LABELS[order], probabilities=rows[order])
    summary = json.loads((path / "summary.json").read_text())
    scores = metrics.score(LABELS, rows, [item["label"] for item in summary["test"]["per_class"]])
    for name in ("accuracy", "macro_f1", "nll", "num_no_answer"):
        summary["test"][name] = getattr(scores, name)
    write_json(path / "summary.json", summary)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    a = run_that_says(tmp_path / "a", [0, 1, 2, 3, 4, 0, 0, -1])
    b = run_that_says(tmp_path / "b", [0, 1, 2, 0, -1, 4, 1, 3], 1, changes={"optim.lr": 0.5})
    return a, b


def test_the_images_that_changed_sides_by_their_place_in_the_test_set(
    bakeoff: Bakeoff, pair: tuple[Path, Path]
) -> None:
    code, out, _ = bakeoff("diff", *map(str, pair))
    assert code == 0
    assert "8 test images: 3 right in both, 1 wrong in both, 3 right in a only, 1 right in b only" in out
    assert (
        "right in a only, position (true class: predicted by a | by b): 3 (class 3: class 3 | class 0), "
        "4 (class 4: class 4 | no prediction), 5 (class 0: class 0 | class 4)\n" in out
    )
    assert (
        "right in b only, position (true class: predicted by a | by b): 6 (class 1: class 0 | class 1)\n"
        in out
    )
    # 1 of 4 images that differ: P(X < 1) + P(X = 1) / 1 of Binomial(4, 1/2), mid-p 2 P(X < 1) + P(X = 1).
    assert "a - b = 25.00 points" in out
    assert f"McNemar's test: p = {2 / 16 + 4 / 16:.3g}" in out


def test_the_list_of_images_is_cut_where_asked(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    out = bakeoff("diff", *map(str, pair), "--images", "1")[1]
    assert "3 (class 3: class 3 | class 0), and 2 more" in out
    assert "right in a only, as image" not in bakeoff("diff", *map(str, pair), "--images", "0")[1]


def test_config_environment_and_code(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    for path, threads, argv in zip(pair, (1, 2), (["x"], ["y"]), strict=True):
        facts = {"threads": threads, "argv": argv, "torch": "2.14.1", "packages": {"numpy": f"2.{threads}"}}
        write_json(path / "environment.json", facts)
    out = bakeoff("diff", *map(str, pair))[1]
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("  ")}
    assert rows["optim.lr"] == ["0.001", "0.5"]
    assert rows["seed"] == ["0", "1"]
    assert rows["threads"] == ["1", "2"]
    assert rows["packages.numpy"] == ["2.1", "2.2"]
    assert not {"argv", "torch", "output_dir", "model.name"} & set(rows)
    assert "code           the same" in out


@pytest.mark.parametrize(
    ("ours", "theirs", "line", "files"),
    [
        ({"training/loop.py": "1", "models/cnn.py": "2"}, {"training/loop.py": "3", "models/cnn.py": "2"},
         "differs in training/loop.py", ["training/loop.py"]),
        # Runs of two families: each has a file that the other has not.
        ({"training/loop.py": "1", "models/cnn.py": "2"}, {"training/loop.py": "1", "models/vit.py": "2"},
         "equal in all source files that both runs use", []),
        ({"training/loop.py": "1"}, None, "aaaaaaaa against bbbbbbbb", None),
        ("text", {"training/loop.py": "1"}, "aaaaaaaa against bbbbbbbb", None),
    ],
)  # fmt: skip
def test_the_sources_that_differ_are_named(
    bakeoff: Bakeoff, pair: tuple[Path, Path], ours: Any, theirs: Any, line: str, files: Any
) -> None:
    for path, code, sources in zip(pair, ("a" * 64, "b" * 64), (ours, theirs), strict=True):
        summary = json.loads((path / "summary.json").read_text())
        summary["fingerprint"]["code"] = code
        write_json(path / "summary.json", summary)
        write_json(path / "environment.json", {} if sources is None else {"code": sources})
    out = bakeoff("diff", *map(str, pair))[1]
    assert f"code           {line}\n" in out
    assert "environment    the same" in out
    assert json.loads(bakeoff("diff", *map(str, pair), "--json")[1])["code_files"] == files


def test_metrics_in_their_units_and_rounded_facts(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    for path, load, nll in zip(pair, (2.6591796875, 1.25), (0.0, 1e-7), strict=True):
        write_json(path / "environment.json", {"load_average": load})
        summary = json.loads((path / "summary.json").read_text())
        summary["cost"]["peak_memory_bytes"] = 5_000_000
        summary["speed"]["latency_ms_batch1"] = 1.0 + nll
        write_json(path / "summary.json", summary)
    out = bakeoff("diff", *map(str, pair))[1]
    rows = {line[2:25].strip(): line[25:].split() for line in out.splitlines() if line.startswith("  ")}
    assert rows["accuracy %"] == ["75.00", "50.00", "+25.00"]
    assert rows["memory (MB)"] == ["5", "5", "0"]
    assert rows["parameters"] == ["1,234", "1,234", "0"]
    assert rows["latency (ms)"] == ["1.00", "1.00", "-1.0e-07"]  # a difference, which rounding would hide
    assert "  load_average  2.66  1.25\n" in out
    found = json.loads(bakeoff("diff", *map(str, pair), "--json")[1])
    assert found["environment"]["load_average"] == [2.6591796875, 1.25]


def test_a_difference_is_that_of_the_numbers_shown() -> None:
    latency, accuracy = RUN_FIGURES["latency_ms_batch1"], RUN_FIGURES["accuracy"]
    assert (f"{0.774:.2f}", f"{1.496:.2f}") == ("0.77", "1.50")
    assert _difference(0.774, 1.496, latency) == "-0.73"  # -0.722 by itself
    assert _difference(0.5, 0.5, accuracy) == "0"
    assert _difference(0.5000001, 0.5, accuracy) == "+1.0e-05"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_word_is_broken(
    bakeoff: Bakeoff, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    for path, value in zip(pair, ("x" * 70, [1, 2, 3]), strict=True):
        config = json.loads((path / "config.json").read_text())
        write_json(path / "config.json", config | {"own": {"a_key": value, "texts": "one two three " * 9}})
    wide = bakeoff("diff", *map(str, pair))[1]
    monkeypatch.setenv("COLUMNS", str(width))
    out = bakeoff("diff", *map(str, pair))[1]
    assert set(out.split()) - {"a", "b"} <= set(wide.split())
    assert len(out.split()) >= len(wide.split())
    assert all(len(line) <= width or len(line.split()) <= 2 for line in out.splitlines())
    assert "\x1b" not in out
    coloured = bakeoff("diff", *map(str, pair), "--color", "always")[1]
    assert "\x1b[1mconfig\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == out


def test_json(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    found = json.loads(bakeoff("diff", *map(str, pair), "--json")[1])
    assert found["config"] == {"optim.lr": [0.001, 0.5], "seed": [0, 1]}
    images = found["images"]
    assert (images["only_a"], images["only_b"], images["both_right"]) == ([3, 4, 5], [6], 3)
    assert images["difference"] == pytest.approx(0.25)
    assert found["metrics"]["accuracy"] == [6 / 8, 4 / 8]
    assert found["code"] == []


def test_a_run_and_itself(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    out = bakeoff("diff", str(pair[0]), str(pair[0]))[1]
    assert "config         the same" in out
    assert "0 right in a only, 0 right in b only" in out
    assert "McNemar's test: p = 1" in out


@pytest.mark.parametrize("change", ["other images", "no predictions"])
def test_images_that_cannot_be_compared(bakeoff: Bakeoff, tmp_path: Path, change: str) -> None:
    make_run(tmp_path / "a", 0)
    make_run(tmp_path / "b", 1, test_split="t1" if change == "other images" else "t0")
    if change == "no predictions":
        (tmp_path / "b" / "predictions.npz").unlink()
    code, out, _ = bakeoff("diff", str(tmp_path / "a"), str(tmp_path / "b"))
    assert code == 0
    reason = "tested on different images" if change == "other images" else "a run has no predictions"
    assert f"images         not compared: {'the runs were ' if 'tested' in reason else ''}{reason}" in out


def test_a_run_that_is_not_finished_is_refused(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    (pair[1] / "summary.json").unlink()
    code, _, error = bakeoff("diff", *map(str, pair))
    assert code == 7
    assert "not finished" in error
    assert bakeoff("diff", str(pair[0]), "nothing")[0] == 2
    assert bakeoff("diff", str(pair[0]))[0] == 2


def test_data_are_called_by_their_title(bakeoff: Bakeoff, pair: tuple[Path, Path]) -> None:
    for path in pair:
        write_json(
            path / "summary.json", json.loads((path / "summary.json").read_text()) | {"data_title": "Birds"}
        )
    _, out, _ = bakeoff("diff", *map(str, pair))
    assert out.splitlines()[0].endswith("(cnn on Birds, seed 0)")


@pytest.mark.parametrize("count", ["-1", "1.5", "x"])
def test_a_number_of_images_is_a_count(bakeoff: Bakeoff, pair: tuple[Path, Path], count: str) -> None:
    code, _, err = bakeoff("diff", *map(str, pair), f"--images={count}")
    assert code == 2
    assert f"{count}: a number of images, 0 or more" in err


def test_what_is_told_of_latest_is_told_once(
    bakeoff: Bakeoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_OUTPUTS", str(tmp_path / "runs"))
    run = run_that_says(tmp_path / "runs" / "a", [0, 1, 2, 3, 4, 0, 0, -1])
    newer = tmp_path / "runs" / "b"
    newer.mkdir()
    write_json(newer / "config.json", {})
    os.utime(run / "config.json", (1, 1))
    for words in (
        ("diff", "latest", "latest"),
        ("compare", "latest", "latest"),
        ("prune", "latest", "latest"),
    ):
        code, _, err = bakeoff(*words)
        assert (code, err.count("note: latest is")) == (0, 1), words
