"""`bakeoff compare --plan`: what is printed, and that it is what the statistics say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_directories import make_run

from bakeoff.cli import main
from bakeoff.comparison.statistics.planning import needed
from bakeoff.comparison.view import View
from bakeoff.errors import OK, ConfigError


def stored(seed: int, good: float, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 5
    said = np.where(random.random(count) < good + 0.01 * random.normal(), labels, (labels + 1) % 5)
    rows = np.full((count, 5), 0.05, dtype=np.float32)
    rows[np.arange(count), said] = 0.8
    return labels.astype(np.int64), rows


def write(folder: Path, runs: dict[str, int], count: int = 400) -> None:
    for number, (model, seeds) in enumerate(runs.items()):
        for seed in range(seeds):
            shown = stored(100 * number + seed, 0.9 - 0.01 * number, count)
            make_run(folder / f"{model}-{seed}", seed, model, model=model, stored=shown)


def as_json(folder: Path, points: float, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["compare", str(folder), "--plan", str(points), "--format", "json"]) == OK
    table: dict[str, Any] = json.loads(capsys.readouterr().out)["tables"][0]
    return table


def test_json_has_what_the_statistics_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bakeoff.comparison.output.printing import read_and_compare

    write(tmp_path, {"cnn": 3, "vit": 4, "mlp": 3})
    plan = as_json(tmp_path, 3, capsys)["plan"]
    (table,) = read_and_compare([tmp_path], View()).tables
    tested = [pair for pair in table.pairs if pair.metric == "accuracy"]
    assert plan["points"] == 3
    for pair, told in zip(tested, plan["pairs"], strict=True):
        found = needed(pair.result, 400, 3, 0.03)
        assert found is not None
        assert (told["a"], told["b"]) == (pair.a, pair.b)
        assert (told["runs"], told["best_possible"], told["images"]) == (
            found.runs, found.best_possible, found.images,
        )  # fmt: skip


def test_more_points_never_need_more_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"cnn": 3, "vit": 3})
    runs = [as_json(tmp_path, points, capsys)["plan"]["pairs"][0]["runs"] for points in (2, 4, 8, 16)]
    known = [10**9 if count is None else count for count in runs]
    assert known == sorted(known, reverse=True)
    assert known[-1] == 2


@pytest.mark.parametrize(
    ("runs", "points", "words"),
    [
        ({"cnn": 3, "vit": 3}, "8", "seeds of each"),
        ({"cnn": 3, "vit": 3}, "30", "2 seeds of each, and so many there are"),
        ({"cnn": 3, "vit": 3}, "0.1", "these images cannot show it; at best"),
        ({"cnn": 1, "vit": 3}, "2", "one run says nothing about seeds; train 3 seeds of each first"),
        ({"cnn": 2, "vit": 3}, "8", "2 runs plan badly: train 3 first"),
        ({"cnn": 3}, "2", "no pair is tested, so none can be planned"),
    ],
)
def test_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], runs: dict[str, int], points: str, words: str
) -> None:
    write(tmp_path, runs)
    for form in ("table", "markdown"):
        assert main(["compare", str(tmp_path), "--plan", points, "--format", form]) == OK
        printed = " ".join(capsys.readouterr().out.split())
        assert words in printed
        assert f"To show a true difference of {points} points in 80 of 100 comparisons" in printed


def test_so_many_images_are_told_in_two_digits_and_are_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"cnn": 3, "vit": 3})
    told = as_json(tmp_path, 0.1, capsys)["plan"]["pairs"][0]
    shown = int(told["says"].partition("seeds; about ")[2].partition(" ")[0].replace(",", ""))
    assert told["images"] <= shown < 1.1 * told["images"] + 1
    assert len(str(shown).rstrip("0")) <= 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--plan", "0"], "not a number of points above 0"),
        (["--plan", "x"], "not a number of points above 0"),
        (["--plan", "nan"], "not a number of points above 0"),
        (["--plan", "1", "--no-statistics"], "--plan: not with --no-statistics"),
        (["--plan", "1", "--format", "csv"], "--plan: not with --format csv"),
    ],
)
def test_slips(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    write(tmp_path, {"cnn": 1})
    try:
        code = main(["compare", str(tmp_path), *words])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == ConfigError.exit_code
    assert told in " ".join(capsys.readouterr().err.split())
