"""What `compare` says of runs that come from a race."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_directories import make_run
from scipy.stats import t

from bakeoff.cli import main
from bakeoff.errors import OK


def stored(seed: int, good: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(2000) % 5
    said = np.where(np.random.default_rng(seed).random(2000) < good, labels, (labels + 1) % 5)
    rows = np.full((2000, 5), 0.05, dtype=np.float32)
    rows[np.arange(2000), said] = 0.8
    return labels.astype(np.int64), rows


def race(
    folder: Path, goods: dict[str, float], out: dict[str, int], margin: float | None = None, **more: Any
) -> Path:
    sweep = folder / "sweeps" / "race"
    for number, (model, good) in enumerate(goods.items()):
        for seed in range(3):
            shown = stored(100 * number + seed, good)
            make_run(sweep / f"{model}-{seed}", seed, model, model=model, stored=shown)
    settings = [
        {"setting": model, "name": model, "model": model, "out_after": out.get(model),
         "why": "worse" if model in out else None}
        for model in goods
    ]  # fmt: skip
    record = {
        "schema": 1,
        "margin": margin,
        "metric": "accuracy",
        "settings": settings,
        "ended": "2026-01-01",
        **more,
    }
    (sweep / "race.json").write_text(json.dumps(record))
    return sweep


def compared(sweep: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["compare", str(sweep), *words]) == OK
    return capsys.readouterr().out


def test_a_dropped_row_is_marked_and_a_drop_that_the_test_shows_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = race(tmp_path, {"cnn": 0.97, "vit": 0.6, "mlp": 0.968}, {"vit": 3, "mlp": 5})
    printed = compared(sweep, capsys)
    assert "vit (out after 3)" in printed
    assert "mlp (out after 5)" in printed
    assert "vit: out of the race after 3 seeds, as surely worse on the validation images" in printed
    assert "mlp: out of the race by the validation images; not shown on the test images (3 seeds)" in printed
    table = json.loads(compared(sweep, capsys, "--format", "json"))["tables"][0]
    assert {row["name"]: row.get("mark") for row in table["settings"]} == {
        "cnn": None, "vit": "out after 3", "mlp": "out after 5",
    }  # fmt: skip


def test_equal_within_the_margin_is_told_of_pairs_alone_that_show_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = race(tmp_path, {"cnn": 0.97, "vit": 0.6, "mlp": 0.968}, {}, margin=0.02)
    assert "equal within 2 points on the test images: mlp and cnn" in compared(sweep, capsys)
    facts = json.loads(compared(sweep, capsys, "--format", "json"))["tables"][0]["race"]
    assert [{*pair} for pair in facts["equal"]] == [{"cnn", "mlp"}]
    narrow = race(tmp_path / "narrow", {"cnn": 0.97, "mlp": 0.968}, {}, margin=0.001)
    assert "no two are shown to be equal within 0.1 points" in compared(narrow, capsys)


def test_runs_of_several_folders_are_no_race(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    race(tmp_path, {"cnn": 0.97, "vit": 0.6}, {"vit": 3})
    make_run(tmp_path / "single", 7, "cnn", model="cnn", stored=stored(7, 0.97))
    assert "race" not in compared(tmp_path, capsys)


@pytest.mark.parametrize(
    "more", [{"settings": 3}, {"margin": "x"}, {"metric": None}, {"settings": [{"a": 1}]}]
)
def test_a_damaged_record_is_no_race(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: dict[str, Any]
) -> None:
    sweep = race(tmp_path, {"cnn": 0.97, "vit": 0.6}, {"vit": 3}, **more)
    assert "out of the race" not in compared(sweep, capsys)


def test_equal_means_that_difference_and_uncertainty_stay_below_the_margin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = race(tmp_path, {"cnn": 0.97, "mlp": 0.968}, {}, margin=0.01)
    table = json.loads(compared(sweep, capsys, "--format", "json"))["tables"][0]
    pair = next(pair for pair in table["pairs"] if pair["metric"] == "accuracy")
    reach = t.ppf(0.95, pair["df"]) * math.sqrt(pair["variance_images"] + pair["variance_seeds"])
    border = abs(pair["difference"]) + reach
    for margin, is_equal in ((border * 1.001, True), (border * 0.999, False)):
        record = json.loads((sweep / "race.json").read_text()) | {"margin": margin}
        (sweep / "race.json").unlink()
        (sweep / "race.json").write_text(json.dumps(record))
        facts = json.loads(compared(sweep, capsys, "--format", "json"))["tables"][0]["race"]
        assert bool(facts["equal"]) == is_equal
